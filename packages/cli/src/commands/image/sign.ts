import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { rootCommits } from '@vouchsafe/image'
import {
  attachBundle,
  attachCosign,
  cosignPayload,
  generateSigningKey,
  parsePublicKey,
  PREDICATES,
  putIntoService,
  signBundle,
  signCosign,
  signSimple,
  signStatement,
  toBeSigned,
  writeBuildIdentity,
} from '@vouchsafe/image/signing'
import { type Command, Option } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { type RegistryOptions, withRegistryOptions } from './address.ts'
import {
  annotation,
  readPassphrase,
  readSigningKey,
  type RegistryImage,
  signedName,
  type SigningKeyOptions,
  withRegistryImage,
} from './signing-options.ts'

interface Options extends RegistryOptions, SigningKeyOptions {
  readonly json?: boolean
  readonly scheme: 'tag' | 'bundle'
  readonly annotation: Readonly<Record<string, string>>
  readonly withTag?: boolean
  readonly confidentialSpace?: boolean
  readonly publicKey?: string
  readonly payloadOut?: string
  readonly gpgKey?: string
  readonly lookaside?: string
  readonly signingService?: boolean
}

/** `vouchsafe image sign`: says that this digest is what its signer means. */
export function signVerb(done: Done): Command {
  return withRegistryOptions(verb('sign', 'sign an image in its registry, or write out what another party shall sign'))
    .argument('<image>', 'a registry reference; by tag it is settled to a digest once, and the digest is signed')
    .option('--key <file>', 'private key (PEM; also as cosign encrypts it)')
    .option('--passphrase-file <file>', 'holds the passphrase of the key')
    .addOption(
      new Option(
        '--scheme <scheme>',
        'tag: as cosign 1 and 2 keep it; bundle: a sigstore bundle that refers to the image',
      )
        .choices(['tag', 'bundle'])
        .default('tag'),
    )
    .option('--annotation <name=value>', 'signed with the rest; repeatable', annotation, {})
    .option('--with-tag', 'sign the name with its tag (default: the repository, as cosign does)')
    .option(
      '--confidential-space',
      'put public key and algorithm into the payload, where Confidential Space reads them',
    )
    .option('--pss', 'RSA keys sign by PSS')
    .option('--payload-out <file>', 'sign nothing: write the bytes that a key elsewhere shall sign; see image attach')
    .option('--public-key <file>', 'with --payload-out and --confidential-space: whose payload it is')
    .option('--gpg-key <file>', 'sign by OpenPGP instead (simple signing), into --lookaside or --signing-service')
    .option('--lookaside <dir>', 'root of the signature store that registries.d names')
    .option('--signing-service', 'with --gpg-key: the registry keeps the signature itself, where it offers that')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image sign registry.example/app:v1 --key cosign.key --passphrase-file pass\n' +
        '  $ vouchsafe image sign registry.example/app@sha256:… --key owner.pem --scheme bundle\n' +
        '  $ vouchsafe image sign registry.example/app@sha256:… --payload-out payload   # then, where the key is:\n' +
        '  $ openssl dgst -sha256 -sign owner.pem -out signature payload\n' +
        '  $ vouchsafe image sign registry.example/app:v1 --gpg-key owner.asc --lookaside /srv/signatures',
    )
    .action(async (image: string, options: Options) => {
      const ways = [options.key, options.gpgKey, options.payloadOut].filter((way) => way !== undefined)
      if (ways.length !== 1)
        throw new UsageError('one way to sign is wanted', 'give one of --key FILE, --gpg-key FILE, --payload-out FILE')
      await withRegistryImage(image, options, async (at) => {
        if (options.gpgKey !== undefined) await byGpg(at, options, options.gpgKey)
        else if (options.payloadOut !== undefined) writePayload(at, options, options.payloadOut)
        else await byKey(at, options, options.key ?? '')
      })
      done(EXIT.yes)
    })
}

async function byKey(image: RegistryImage, options: Options, file: string): Promise<void> {
  const key = readSigningKey(file, options)
  const what = wanted(image, options)
  const stored =
    options.scheme === 'bundle'
      ? await attachBundle(
          image.client,
          image.name,
          image.descriptor,
          signBundle(signStatement(what), key),
          PREDICATES.sign,
          new Date(),
        )
      : await attachCosign(
          image.client,
          image.name,
          image.descriptor.digest,
          signCosign(
            cosignPayload(
              what,
              options.confidentialSpace === true ? { key: key.public, algorithm: key.algorithm } : undefined,
            ),
            key,
          ),
        )
  outputOf(options).answer(
    { digest: image.descriptor.digest, key: key.public.id, algorithm: key.algorithm, scheme: options.scheme, stored },
    `signed ${image.descriptor.digest}\nkey ${key.public.id}, ${key.algorithm}`,
  )
}

function writePayload(image: RegistryImage, options: Options, file: string): void {
  const what = wanted(image, options)
  const publicKey =
    options.publicKey === undefined ? undefined : parsePublicKey(readFileSync(options.publicKey), options.publicKey)
  if (options.confidentialSpace === true && publicKey === undefined)
    throw new UsageError('whose payload is it?', 'name the signer’s key: --public-key FILE')
  const confidential =
    options.confidentialSpace === true && publicKey !== undefined
      ? { key: publicKey, algorithm: options.pss === true ? ('RSASSA_PSS_SHA256' as const) : publicKey.algorithm }
      : undefined
  const bytes = options.scheme === 'bundle' ? toBeSigned(signStatement(what)) : cosignPayload(what, confidential)
  writeFileSync(file, bytes)
  const attach = `vouchsafe image attach REFERENCE --scheme ${options.scheme} --payload ${file} --signature FILE --public-key FILE`
  outputOf(options).answer(
    { digest: image.descriptor.digest, payload: file, scheme: options.scheme },
    `${file}: ${bytes.length} bytes to sign for ${image.descriptor.digest}\nwhen they are signed: ${attach}`,
  )
}

async function byGpg(image: RegistryImage, options: Options, file: string): Promise<void> {
  if ((options.lookaside === undefined) === (options.signingService !== true))
    throw new UsageError(
      'where does a simple signature go?',
      'name a signature store: --lookaside DIR; or --signing-service, where the registry has one of its own',
    )
  const passphrase = readPassphrase(options.passphraseFile)
  const { digest } = image.descriptor
  const signature = await signSimple(
    {
      digest,
      dockerReference: signedName(image.asked, image.asked.tag !== undefined),
      annotations: options.annotation,
    },
    new Uint8Array(readFileSync(file)),
    { at: new Date(), ...(passphrase === undefined ? {} : { passphrase }) },
  )
  if (options.lookaside === undefined) {
    await putIntoService(image.client, image.name, digest, signature)
    const stored = `${image.name.registry}: signing service`
    return outputOf(options).answer({ digest, stored }, `signed ${digest}\n${stored}`)
  }
  const directory = path.join(options.lookaside, `${image.name.path}@${digest.replace(':', '=')}`)
  mkdirSync(directory, { recursive: true })
  const place = path.join(directory, `signature-${readdirSync(directory).length + 1}`)
  writeFileSync(place, signature.message, { flag: 'wx' })
  outputOf(options).answer({ digest, stored: place }, `signed ${digest}\n${place}`)
}

function wanted(image: RegistryImage, options: Options) {
  const annotations = Object.keys(options.annotation).length === 0 ? {} : { annotations: options.annotation }
  const dockerReference = signedName(image.asked, options.withTag)
  return { digest: image.descriptor.digest, dockerReference, ...annotations }
}

/** `vouchsafe image key`: a pair that cosign can use as well. */
export function keyVerb(done: Done): Command {
  return verb('key', 'make a key pair that signs images; cosign can use both files')
    .argument('<file>', 'where the private key goes; the public one goes to <file>.pub')
    .requiredOption('--passphrase-file <file>', 'holds the passphrase to encrypt the key with')
    .option('--builds <source>', 'a key that states what is built from one repository, git+https://…, and no more')
    .option('--repository <dir>', 'with --builds: that git repository', '.')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe image key owner.key --passphrase-file pass\n' +
        '  $ vouchsafe image key builder --passphrase-file pass --builds git+https://git.example/team/app   # also builder.identity.json',
    )
    .action((file: string, options: KeyVerbOptions) => {
      const rootCommit = options.builds === undefined ? undefined : rootOf(options.repository)
      const { privatePem, publicPem } = generateSigningKey(readPassphrase(options.passphraseFile) ?? '')
      const names = [file, `${file}.pub`, ...(options.builds === undefined ? [] : [`${file}.identity.json`])]
      for (const name of names)
        if (existsSync(name))
          throw new UsageError(`${name} is there already`, 'keys are not written over: name another file')
      writeFileSync(file, privatePem, { mode: 0o600, flag: 'wx' })
      writeFileSync(`${file}.pub`, publicPem, { flag: 'wx' })
      const key = parsePublicKey(publicPem)
      const files = { private: file, public: `${file}.pub` }
      const { builds: source } = options
      if (source === undefined || rootCommit === undefined)
        outputOf(options).answer({ ...files, key: key.id }, `${file}, ${file}.pub\nkey ${key.id}`)
      else {
        const identity = `${file}.identity.json`
        writeFileSync(identity, writeBuildIdentity({ source, rootCommit, key }), { flag: 'wx' })
        outputOf(options).answer(
          { ...files, identity, key: key.id, source, rootCommit },
          `${file}, ${identity}\nkey ${key.id}\nbuilds ${source}, which began with ${rootCommit}`,
        )
      }
      done(EXIT.yes)
    })
}

interface KeyVerbOptions {
  readonly json?: boolean
  readonly passphraseFile: string
  readonly builds?: string
  readonly repository: string
}

function rootOf(repository: string): string {
  const [only, ...more] = rootCommits(repository)
  if (only !== undefined && more.length === 0) return only
  throw new UsageError(
    `${repository} has ${more.length + (only === undefined ? 0 : 1)} first commits`,
    'a build identity is for a repository with one history; make one for each, from a clone of it',
  )
}
