import { readFileSync, writeFileSync } from 'node:fs'
import {
  type BundleTrust,
  decideBySignatures,
  explainRefusal,
  findStatements,
  type ImageDecision,
  type ImagePolicy,
  listAttached,
  parsePolicy,
  parsePublicKey,
  parseTrustedRoot,
  PREDICATES,
  readMaterialFrom,
  readRegistriesD,
} from '@vouchsafe/image/signing'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { collect, type Done, outputOf, verb } from '../options.ts'
import { table } from '../../table.ts'
import { type RegistryOptions, withRegistryOptions } from './address.ts'
import { type RegistryImage, withRegistryImage } from './signing-options.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
  readonly key: readonly string[]
  readonly threshold?: string
  readonly digestOnly?: boolean
  readonly policy?: string
  readonly registriesD?: string
  readonly requireSignature?: boolean
  readonly dangerouslyAcceptSha1?: boolean
  readonly type?: string
  readonly out?: string
  readonly trustedRoot?: string
  readonly identity?: string
  readonly issuer?: string
  readonly list?: boolean
}

/** `vouchsafe image verify`: who signed it, and is that who had to? */
export function verifyVerb(done: Done): Command {
  return withRegistryOptions(
    verb('verify', 'check signatures by keys or by a policy; fetch signed statements; list what is attached'),
  )
    .argument('<image>', 'a registry reference')
    .option('--key <file>', 'public key of a signer; repeatable', collect, [])
    .option('--threshold <n>', 'so many of the keys must have signed (default: all of them)')
    .option('--digest-only', 'accept signatures whatever image name they carry, as long as the digest is right')
    .option('--policy <file>', 'a policy.json, of either layout')
    .option('--registries-d <dir>', 'where simple signatures lie, and whether tags are looked at')
    .option('--require-signature', 'with --policy: insecureAcceptAnything counts for nothing')
    .option('--dangerously-accept-sha1', 'with --policy: OpenPGP signatures over SHA-1 count')
    .option(
      '--type <type>',
      'fetch signed statements of this type instead: a URI, spdx, cyclonedx, slsaprovenance1, custom, …',
    )
    .option('--out <file>', 'with --type: write the predicate of the one statement that is found')
    .option('--trusted-root <file>', 'with --type: a trusted_root.json, for signers known by certificate')
    .option('--identity <subject>', 'with --trusted-root: the signer, compared exactly')
    .option('--issuer <url>', 'with --trusted-root: who vouched for the signer, compared exactly')
    .option('--list', 'list all that is attached, unchecked')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image verify registry.example/app:v1 --key ann.pub --key ben.pub\n' +
        '  $ vouchsafe image verify registry.example/app:v1 --key a.pub --key b.pub --key c.pub --threshold 2\n' +
        '  $ vouchsafe image verify registry.example/app:v1 --policy policy.json --registries-d /etc/containers/registries.d\n' +
        '  $ vouchsafe image verify registry.example/app:v1 --key builder.pub --type spdx --out app.spdx.json\n' +
        '  $ vouchsafe image verify registry.example/app:v1 --list',
    )
    .action(async (image: string, options: Options) => {
      // a mistake in what was asked for is told before a registry is
      const ask = questionOf(options)
      await withRegistryImage(image, options, async (at) => done(await ask(at)))
    })
}

function questionOf(options: Options): (image: RegistryImage) => Promise<number> {
  const { type } = options
  if (options.list === true) return (image) => list(image, options)
  if (type !== undefined) {
    const trust = trustOf(options)
    return (image) => statements(image, options, { type, trust })
  }
  const policy = policyOf(options)
  return (image) => decide(image, options, policy)
}

async function decide(image: RegistryImage, options: Options, policy: ImagePolicy): Promise<number> {
  const { digest } = image.descriptor
  const { bytes } = await image.client.reader(image.asked).readManifest(digest, 4 * 1024 * 1024)
  const role =
    image.descriptor.mediaType.includes('index') || image.descriptor.mediaType.includes('list') ? 'index' : 'manifest'
  const registries = options.registriesD === undefined ? {} : { registries: await readRegistriesD(options.registriesD) }
  const decision = await decideBySignatures(
    { asked: image.asked, documents: [{ role, digest, bytes }] },
    {
      policy,
      client: image.client,
      material: readMaterialFrom({}),
      at: () => new Date(),
      ...registries,
      requireSignature: options.requireSignature ?? false,
      dangerouslyAcceptSha1: options.dangerouslyAcceptSha1 ?? false,
    },
  )
  outputOf(options).answer({ digest, accepted: decision.kind === 'accept', ...decision }, toText(digest, decision))
  return decision.kind === 'accept' ? EXIT.yes : EXIT.no
}

/** Keys on the command line are a policy of one requirement. */
function policyOf(options: Options): ImagePolicy {
  if ((options.policy === undefined) === (options.key.length === 0))
    throw new UsageError('who must have signed?', 'give --key FILE, once for each signer, or --policy FILE')
  if (options.policy !== undefined) return parsePolicy(new Uint8Array(readFileSync(options.policy)), options.policy)
  const threshold = thresholdOf(options)
  const signedIdentity = { type: options.digestOnly === true ? 'vouchsafeDigestOnly' : 'matchRepository' }
  const signers = options.key.map((keyPath) => ({ name: keyPath, keyPath }))
  const requirement = { type: 'vouchsafeSigners', threshold, signers, signedIdentity }
  return parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [requirement] })), 'command line')
}

function thresholdOf({ threshold, key }: Options): number {
  const twice = key.find((file, i) => key.indexOf(file) !== i)
  if (twice !== undefined)
    throw new UsageError(`--key ${twice} twice`, 'a threshold counts signers: name each key once')
  if (threshold === undefined) return key.length
  const wanted = Number(threshold)
  if (!/^[0-9]{1,3}$/.test(threshold) || wanted < 1 || wanted > key.length)
    throw new UsageError(
      `--threshold ${threshold} of ${key.length} keys`,
      `a whole number from 1 to ${key.length}; each further signer is one more --key FILE`,
    )
  return wanted
}

function toText(digest: string, decision: ImageDecision): string {
  const lines = decision.findings.flatMap(({ requirement, fulfilled, explanation, signatures }) => [
    `${fulfilled ? 'yes' : 'no '} ${requirement}: ${explanation}`,
    ...signatures.map(({ place, outcome }) => `      ${place}: ${outcome}`),
  ])
  const next = decision.kind === 'accept' ? [] : [`refused: ${explainRefusal(decision)[0] ?? 'nothing allows it'}`]
  return [digest, `scope ${decision.scope}`, ...lines, ...next].join('\n')
}

async function statements(
  image: RegistryImage,
  options: Options,
  { type, trust }: { readonly type: string; readonly trust: BundleTrust },
): Promise<number> {
  const predicateType = Object.hasOwn(PREDICATES, type) ? PREDICATES[type as keyof typeof PREDICATES] : type
  const { digest } = image.descriptor
  const found = await findStatements(image.client.reader(image.asked), digest, trust, predicateType)
  const [first, second] = found.verified
  if (options.out !== undefined && first !== undefined) {
    if (second !== undefined)
      throw new UsageError(
        `${found.verified.length} statements of ${predicateType} by these signers`,
        'leave out --out to see them, or name fewer signers',
      )
    writeFileSync(options.out, `${JSON.stringify(first.statement.predicate)}\n`)
  }
  const shown = found.verified.map(({ statement, signer, place }) => ({
    place,
    predicateType: statement.predicateType,
    signer: { ...signer },
    ...(options.out === undefined ? { predicate: statement.predicate } : { written: options.out }),
  }))
  outputOf(options).answer(
    { digest, statements: shown, refused: found.refused },
    [
      `${digest}: ${shown.length} of ${predicateType}`,
      ...shown.map(({ place, signer }) => `yes ${place}: by ${signer.subject ?? signer.keyId}`),
      ...found.refused.map(({ place, reason }) => `no  ${place}: ${reason}`),
    ].join('\n'),
  )
  return found.verified.length > 0 ? EXIT.yes : EXIT.no
}

function trustOf(options: Options): BundleTrust {
  const { trustedRoot, identity, issuer } = options
  if ((trustedRoot === undefined) === (options.key.length === 0))
    throw new UsageError('whose statements?', 'give --key FILE, or --trusted-root FILE with --identity and --issuer')
  if (trustedRoot === undefined)
    return { kind: 'keys', keys: options.key.map((file) => parsePublicKey(readFileSync(file), file)) }
  if (identity === undefined || issuer === undefined)
    throw new UsageError('a root certifies many', 'say whom you mean: --identity SUBJECT --issuer URL')
  const root = parseTrustedRoot(new Uint8Array(readFileSync(trustedRoot)), trustedRoot)
  return { kind: 'certificates', root, identity: { subject: identity, issuer } }
}

async function list(image: RegistryImage, options: Options): Promise<number> {
  const { digest } = image.descriptor
  const attached = await listAttached(image.client.reader(image.asked), digest)
  outputOf(options).answer(
    { digest, attached },
    attached.length === 0
      ? `${digest}\nnothing is attached`
      : `${digest}\n${table(attached.map(({ place, type, digest: of, predicateType }) => [place, predicateType ?? type, of]))}`,
  )
  return EXIT.yes
}
