import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import type { OwnerClient } from '@vouchsafe/client'
import {
  ASSURANCE_CLASSES,
  type ClientTermsBody,
  digestOf,
  fromBase64,
  signStatement,
  toBase64,
  utf8,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type Command, Option } from 'commander'
import { type Choices, type SecretEntry, newTerms, readSecretsFile } from '../distributor/new-terms.ts'
import { renderReview, reviewOf } from '../distributor/review.ts'
import { sealSecret } from '../distributor/sealed-secret.ts'
import { type OwnerFile, withOwner } from '../files.ts'
import { readInput } from '../read-input.ts'
import { EXIT, UsageError } from '../output.ts'
import { type Done, outputOf, ownerVerb, verb } from './options.ts'

interface ProvisionOptions {
  readonly as?: string
  readonly json?: boolean
  readonly instance: string
  readonly name: string
  readonly project: string
  readonly zone: string
  readonly secrets: string
  readonly purpose: string
  readonly image: readonly string[]
  readonly register: Readonly<Record<string, readonly string[]>>
  readonly bootLog: 'required' | 'optional'
  readonly leastClass: (typeof ASSURANCE_CLASSES)[number]
  readonly dangerouslyExemptFromTpm?: string
  readonly memoryEncryption?: boolean
  readonly address?: string
  readonly certificate?: string
  readonly metadataKey: readonly string[]
  readonly dangerouslyAllowManagementAgent?: boolean
  readonly deliverTo: ClientTermsBody['delivery']['to']
  readonly times: string
  readonly days: string
  readonly identityMaxAge: string
  readonly yes?: boolean
}

const collect = (value: string, all: readonly string[]) => [...all, value]

/** `distributor provision`: shows what an owner must see, asks, and approves. */
export function provisionVerb(done: Done): Command {
  return ownerVerb('provision', 'review an instance, and approve it as a client with its secrets')
    .requiredOption('--instance <id>', 'instance id')
    .requiredOption('--name <name>', 'instance name')
    .requiredOption('--project <project>')
    .requiredOption('--zone <zone>')
    .requiredOption('--secrets <file>', 'JSON array of {name, type: RAW|TPM|TINK, data}; - for standard input')
    .option('--purpose <text>', 'what the secrets are for; stands in the approval', 'token distributor client')
    .option('--image <image>', 'boot image that is allowed; repeatable, and none is allowed without it', collect, [])
    .option(
      '--register <n=value[,value]>',
      'values that a SHA-256 register may have; repeatable',
      collectRegister,
      {} as Readonly<Record<string, readonly string[]>>,
    )
    .addOption(
      new Option('--boot-log <rule>', 'whether the client must show its boot log')
        .choices(['required', 'optional'])
        .default('required'),
    )
    .addOption(
      new Option('--least-class <class>', 'assurance class asked for').choices([...ASSURANCE_CLASSES]).default('tpm'),
    )
    .option('--dangerously-exempt-from-tpm <reason>', 'leave TPM checks out for this client; its class is unattested')
    .option('--memory-encryption', 'refuse the client without memory encryption')
    .option('--address <ip>', 'address that the client must come from; auto for the instance’s own')
    .option('--certificate <file>', 'certificate that the client must show, PEM')
    .option('--metadata-key <key>', 'launch metadata that may be there beside user-data; repeatable', collect, [])
    .option('--dangerously-allow-management-agent', 'allow an agent that can change packages inside the instance')
    .addOption(
      new Option('--deliver-to <where>', 'seal to an attested key, or send in the connection of the certificate')
        .choices(['sealed', 'client-certificate'])
        .default('sealed'),
    )
    .option('--times <n>', 'how often the secrets may be fetched', '1')
    .option('--days <n>', 'how long the approval holds', '30')
    .option('--identity-max-age <seconds>', 'how old the client’s identity document may be', '60')
    .option('-y, --yes', 'approve without being asked; what is refused stays refused')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe distributor provision --instance 5055893581146000589 --name tokenclient --project tc \\\n      --zone us-central1-a --secrets secrets.json --image projects/cos-cloud/global/images/cos-stable-121 \\\n      --register 0=24af52a4… --register 4=… --register 8=… --register 9=…',
    )
    .action(async (options: ProvisionOptions) => {
      const approved = await withOwner(options.as, (client, owner) => provision(client, owner, options))
      done(approved ? EXIT.yes : EXIT.no)
    })
}

async function provision(client: OwnerClient, owner: OwnerFile, options: ProvisionOptions): Promise<boolean> {
  const output = outputOf(options)
  const { instance, name, project, zone } = options
  const secrets = readSecretsFile(readInput(options.secrets), options.secrets)
  const { facts, terms: current } = await client.reviewInstance({ instance, name, project, zone })
  const { owner: party } = await client.listClients()
  const body = newTerms(facts, {
    ...choicesOf(options, secrets, options.address === 'auto' ? (facts.addresses[0] ?? '') : (options.address ?? null)),
    owner: { id: party, key: owner.key.key },
    previous: current?.digest ?? null,
    at: new Date(),
  })
  const review = reviewOf(facts, body)
  output.talk(renderReview(facts, body, review))
  const { warnings, refusals } = review
  if (refusals.length > 0) {
    const summary = refusals.map((f) => `${f.check}: wanted ${f.expected}, found ${f.actual}`).join('\n')
    output.answer({ approved: false, instance, refusals, warnings }, `not approved\n${summary}`)
    return false
  }
  if (options.yes !== true && !(await agreed())) {
    output.answer({ approved: false, instance, refusals, warnings }, 'not approved')
    return false
  }
  const terms = utf8(JSON.stringify(body))
  const now = Date.now()
  const envelope = signStatement(
    {
      says: 'approve',
      agreement: digestOf(terms, nodeCrypto),
      owner: party,
      key: owner.key.key,
      purpose: body.purpose,
      issued: new Date(now - 1000).toISOString(),
      expires: body.expires,
    },
    (bytes) => owner.key.sign(bytes),
  )
  const statement = { ...envelope, signatures: envelope.signatures.map((s) => ({ ...s })) }
  const { digest } = await client.provisionClient({
    terms: toBase64(terms),
    statement,
    secrets: secrets.flatMap((s) => valueOf(s, body)),
  })
  const { tpm, leastClass } = body
  const exempt = tpm.kind === 'dangerously-exempt' ? tpm.reason : null
  output.answer(
    { approved: true, instance, terms: digest, class: leastClass, exempt, warnings },
    `approved ${instance} as ${digest}${exempt === null ? '' : `, UNATTESTED: ${exempt}`}\nhand out to the client's operator: your broker's pin file, the address and authority of this distributor, and its audience`,
  )
  return true
}

/** What the broker stores: the value, or for type TPM what only the client's TPM opens. */
function valueOf(secret: SecretEntry, body: ClientTermsBody): readonly { name: string; value: string }[] {
  const { name, type, data, sealed, layout } = secret
  if (data === undefined) return []
  if (type !== 'TPM' || sealed === true) return [{ name, value: data }]
  if (body.tpm.kind !== 'required')
    throw new UsageError(
      `secret ${name} is to be sealed to a TPM, and this client is exempt from TPM checks`,
      'seal it first: vouchsafe distributor seal, and mark it "sealed": true',
    )
  const { endorsementKey, registers } = body.tpm
  // a TPM policy holds one value a register: where several are pinned, the decision alone judges them
  const single = Object.fromEntries(
    Object.entries(registers).flatMap(([n, v]) => (v.length === 1 ? [[n, v[0] ?? '']] : [])),
  )
  return [{ name, value: toBase64(sealSecret(fromBase64(data, name), endorsementKey, single, layout ?? 'direct')) }]
}

function choicesOf(
  options: ProvisionOptions,
  secrets: readonly SecretEntry[],
  address: string | null,
): Omit<Choices, 'owner' | 'previous' | 'at'> {
  const reason = options.dangerouslyExemptFromTpm
  return {
    purpose: options.purpose,
    lifetimeSeconds: wholeNumber(options.days, '--days', 3650) * 86_400,
    identityMaxAgeSeconds: wholeNumber(options.identityMaxAge, '--identity-max-age', 3600),
    images: options.image,
    metadataKeys: options.metadataKey,
    allowManagementAgent: options.dangerouslyAllowManagementAgent === true,
    address,
    certificate: options.certificate === undefined ? null : thumbprintOf(options.certificate),
    tpm:
      reason === undefined
        ? { registers: options.register, bootLog: options.bootLog, leastClass: options.leastClass }
        : { exemptBecause: reason },
    memoryEncryption: options.memoryEncryption === true ? 'required' : 'any',
    deliver: { to: options.deliverTo, times: wholeNumber(options.times, '--times', 100_000) },
    secrets,
  }
}

/** `distributor seal`: to a client's TPM, without telling any broker (TD-23). */
export function sealVerb(done: Done): Command {
  return verb('seal', 'seal a value to a client’s TPM, and print it as base64; nothing is stored anywhere')
    .requiredOption('--endorsement-key <file>', 'PEM public key, as the platform publishes it')
    .requiredOption('--file <file>', 'the value; - for standard input')
    .option('--register <n=value>', 'value that the register must have; repeatable', collectRegister, {})
    .option('--indirect', 'seal a wrapping key, and carry the value beside it')
    .addHelpText(
      'after',
      '\nExample:\n  $ vouchsafe distributor seal --endorsement-key ek.pem --file key.bin --register 0=24af…',
    )
    .action(
      (options: {
        endorsementKey: string
        file: string
        register: Readonly<Record<string, readonly string[]>>
        indirect?: boolean
        json?: boolean
      }) => {
        const several = Object.entries(options.register).find(([, values]) => values.length > 1)
        if (several !== undefined)
          throw new UsageError(`register ${several[0]} has several values`, 'a TPM policy holds one value a register')
        const spki = toBase64(derOf(readFileSync(options.endorsementKey, 'utf8'), options.endorsementKey))
        const registers = Object.fromEntries(Object.entries(options.register).map(([n, [v = '']]) => [n, v]))
        const layout = options.indirect === true ? 'indirect' : 'direct'
        const data = toBase64(sealSecret(readInput(options.file), spki, registers, layout))
        outputOf(options).answer({ type: 'TPM', layout, sealed: true, data }, data)
        done(EXIT.yes)
      },
    )
}

async function agreed(): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new UsageError('nobody can be asked: standard input is no terminal', 'use --yes after you have reviewed it')
  const readline = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(?:es)?$/i.test((await readline.question('looks ok? (y/N) ')).trim())
  } finally {
    readline.close()
  }
}

function collectRegister(
  text: string,
  all: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, readonly string[]>> {
  const [, n = '', values = ''] = /^(\d{1,2})=([0-9a-f,]+)$/.exec(text) ?? []
  if (n === '') throw new UsageError(`--register ${text} is not n=value`, 'for example --register 0=24af52a4…')
  return { ...all, [n]: [...(all[n] ?? []), ...values.split(',')] }
}

function thumbprintOf(file: string): string {
  return createHash('sha256')
    .update(new X509Certificate(readFileSync(file)).raw)
    .digest('hex')
}

function derOf(pem: string, file: string): Uint8Array {
  const body = /-----BEGIN PUBLIC KEY-----([\s\S]+)-----END PUBLIC KEY-----/.exec(pem)?.[1]
  if (body === undefined)
    throw new UsageError(`${file} is no PEM public key`, 'it begins with -----BEGIN PUBLIC KEY-----')
  return fromBase64(body.replaceAll(/\s/g, ''), file)
}

function wholeNumber(text: string, what: string, most: number): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 1 || n > most)
    throw new UsageError(`${what} ${text} is not a whole number from 1 to ${most}`, `for example ${what} 1`)
  return n
}
