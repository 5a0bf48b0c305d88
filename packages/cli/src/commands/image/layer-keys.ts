import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fromUtf8, Secret, utf8 } from '@vouchsafe/core/base'
import {
  type AsymmetricKey,
  findPgpKeys,
  guestKeys,
  isPgpRing,
  isPkcs11KeyFile,
  jweKeys,
  jweRecipients,
  type KeyHolder,
  type OaepHash,
  parsePkcs11KeyFile,
  pgpKeys,
  pgpRecipients,
  pkcs11Keys,
  pkcs11Recipients,
  pkcs7Keys,
  pkcs7Recipients,
  readPgpPrivateKeys,
  readPgpPublicKeys,
  readPrivateKey,
  readPublicKey,
  type Recipients,
  tokenKey,
  type TokenKey,
  tokenPublicKey,
} from '@vouchsafe/image'
import type { ProviderPort } from '@vouchsafe/image/key-provider'
import type { Command } from 'commander'
import { readInput } from '../../read-input.ts'
import { UsageError } from '../../output.ts'
import { collect } from '../options.ts'

/** Options that say where keys of several schemes are. */
export interface KeyOptions {
  readonly pgpRing?: string
  readonly pkcs11Module?: readonly string[]
  readonly oaepHash?: OaepHash
  readonly providers?: string
}

/** Where keys of several schemes are: the same options for encrypting and decrypting. */
export function withKeyOptions(command: Command): Command {
  return command
    .option('--pgp-ring <file>', 'OpenPGP ring that pgp: recipients are found in')
    .option('--pkcs11-module <file>', 'a PKCS#11 module that may be loaded; repeatable', collect, [])
    .option('--providers <file>', 'configuration of key providers (default: $OCICRYPT_KEYPROVIDER_CONFIG)')
}

/** Recipients as skopeo spells them: `jwe:FILE`, `pkcs7:FILE`, `pgp:WHO`, `pkcs11:FILE`, `provider:NAME[:PARAMETERS]`. */
export async function readRecipients(texts: readonly string[], options: KeyOptions): Promise<readonly Recipients[]> {
  const jwe: AsymmetricKey[] = []
  const certificates: X509Certificate[] = []
  const pgp: Awaited<ReturnType<typeof readPgpPublicKeys>>[number][] = []
  const tokens: KeyObject[] = []
  const providers: Recipients[] = []
  for (const text of texts) {
    const at = text.indexOf(':')
    const [scheme, rest] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
    switch (scheme) {
      case 'jwe':
        jwe.push(readPublicKey(readInput(rest), rest))
        break
      case 'pkcs7':
        certificates.push(readCertificate(readInput(rest), rest))
        break
      case 'pgp':
        pgp.push(...(await pgpRecipient(rest, options)))
        break
      case 'pkcs11':
        tokens.push(await pkcs11Recipient(rest, options))
        break
      case 'provider': {
        const { providerRecipients, ...at } = await provider(rest, options)
        providers.push(providerRecipients(at.name, at.port, at.parameters))
        break
      }
      default:
        throw new UsageError(
          `recipient ${text} names no scheme`,
          'write jwe:PUBLIC-KEY, pkcs7:CERTIFICATE, pgp:ADDRESS, pkcs11:FILE or provider:NAME',
        )
    }
  }
  return [
    ...(jwe.length === 0 ? [] : [jweRecipients(jwe)]),
    ...(certificates.length === 0 ? [] : [pkcs7Recipients(certificates)]),
    ...(pgp.length === 0 ? [] : [pgpRecipients(pgp)]),
    ...(tokens.length === 0 ? [] : [pkcs11Recipients(tokens, options.oaepHash)]),
    ...providers,
  ]
}

/**
 * Keys as skopeo spells them: `FILE[:file=PASSPHRASE-FILE|:fd=N]` for private keys, rings, certificates and key files of
 * tokens, `provider:NAME[:PARAMETERS]`; and `kek:RESOURCE=FILE` for keys that lie in a broker.
 */
export async function readHolders(texts: readonly string[], options: KeyOptions): Promise<readonly KeyHolder[]> {
  const found: Found = { keys: [], certificates: [], rings: [], tokens: [], providers: [], keks: new Map() }
  for (const text of texts) await readHolder(text, options, found)
  const pairs = found.certificates.flatMap((certificate) =>
    found.keys.filter(({ key }) => certificate.checkPrivateKey(key)).map(({ key }) => ({ certificate, key })),
  )
  if (pairs.length < found.certificates.length)
    throw new UsageError('a certificate came without its private key', 'give both: --key CERTIFICATE --key PRIVATE-KEY')
  const { keks } = found
  return [
    ...(found.keys.length === 0 ? [] : [jweKeys(found.keys)]),
    ...(pairs.length === 0 ? [] : [pkcs7Keys(pairs)]),
    ...found.rings,
    ...(found.tokens.length === 0 ? [] : [pkcs11Keys(found.tokens)]),
    ...(keks.size === 0 ? [] : [guestKeys((resource) => Promise.resolve(keks.get(resource)))]),
    ...found.providers,
  ]
}

interface Found {
  readonly keys: AsymmetricKey[]
  readonly certificates: X509Certificate[]
  readonly rings: KeyHolder[]
  readonly tokens: TokenKey[]
  readonly providers: KeyHolder[]
  readonly keks: Map<string, Secret>
}

async function readHolder(text: string, options: KeyOptions, found: Found): Promise<void> {
  if (text.startsWith('provider:')) {
    const { providerKeys, ...at } = await provider(text.slice('provider:'.length), options)
    found.providers.push(providerKeys(at.name, at.port, at.parameters))
    return
  }
  if (text.startsWith('kek:')) {
    const [, resource = '', file = ''] = /^kek:([^=]+)=(.+)$/.exec(text) ?? []
    if (file === '') throw new UsageError(`${text}: no resource and file`, 'write kek:images/app/key=FILE')
    found.keks.set(resource, readKek(file))
    return
  }
  const { file, passphrase } = readKeyArgument(text)
  const bytes = readInput(file)
  if (isPgpRing(bytes)) found.rings.push(pgpKeys(await readPgpPrivateKeys(bytes, file, passphrase)))
  else if (isPkcs11KeyFile(bytes)) {
    const access = { modules: options.pkcs11Module ?? [], at: parsePkcs11KeyFile(bytes, file) }
    found.tokens.push(tokenKey({ ...access, ...(passphrase === undefined ? {} : { pin: passphrase }) }))
  } else if (isCertificate(bytes)) found.certificates.push(readCertificate(bytes, file))
  else found.keys.push(readPrivateKey(bytes, file, passphrase))
}

/** A passphrase on the command line would be read by every process of the machine. */
function readKeyArgument(text: string): { readonly file: string; readonly passphrase?: string } {
  const [, file = '', how = '', what = ''] = /^(.*?)(?::(pass|file|fd)=(.*))?$/.exec(text) ?? []
  if (how === 'pass')
    throw new UsageError('a passphrase stands on the command line', `put it into a file: ${file}:file=PASSPHRASE-FILE`)
  if (how === '') return { file }
  const bytes = readFileSync(how === 'fd' ? Number(what) : what)
  return { file, passphrase: fromUtf8(new Uint8Array(bytes), 'passphrase').replace(/\r?\n$/, '') }
}

/** A key-encryption key: 32 bytes as they are. */
export function readKek(file: string): Secret {
  const bytes = new Uint8Array(readFileSync(file))
  if (bytes.length !== 32)
    throw new UsageError(
      `${file} has ${bytes.length} bytes, a key-encryption key 32`,
      'make one: head -c 32 /dev/urandom > FILE',
    )
  return new Secret(bytes)
}

async function pgpRecipient(who: string, { pgpRing }: KeyOptions) {
  if (pgpRing === undefined) throw new UsageError('no ring to find OpenPGP keys in', 'name one: --pgp-ring FILE')
  const keys = findPgpKeys(await readPgpPublicKeys(readInput(pgpRing), pgpRing), who)
  if (keys.length === 0)
    throw new UsageError(`${pgpRing} has no key of ${who}`, 'name an address or a fingerprint that is in the ring')
  return keys
}

async function pkcs11Recipient(file: string, { pkcs11Module }: KeyOptions): Promise<KeyObject> {
  const bytes = readInput(file)
  return isPkcs11KeyFile(bytes)
    ? tokenPublicKey({ modules: pkcs11Module ?? [], at: parsePkcs11KeyFile(bytes, file) })
    : readPublicKey(bytes, file).key
}

/** Most keys are in files: what speaks to key providers is read when one is named. */
async function provider(text: string, { providers }: KeyOptions) {
  const protocol = await import('@vouchsafe/image/key-provider')
  const at = text.indexOf(':')
  const name = at < 0 ? text : text.slice(0, at)
  const file = providers ?? process.env['OCICRYPT_KEYPROVIDER_CONFIG']
  if (file === undefined)
    throw new UsageError(
      'no configuration of key providers',
      'name one: --providers FILE, or set OCICRYPT_KEYPROVIDER_CONFIG',
    )
  const address = protocol.parseProviderConfig(readInput(file), file).get(name)
  if (address === undefined || address.kind === 'unsupported')
    throw new UsageError(`${file} says nothing usable of the key provider ${name}`, 'give it cmd or grpc there')
  const port: ProviderPort =
    address.kind === 'grpc'
      ? protocol.grpcProvider(address.address, address.tls)
      : { ask: (_, request) => protocol.askCommand(address.command, request) }
  const { providerKeys, providerRecipients } = protocol
  return { providerKeys, providerRecipients, name, port, parameters: [utf8(at < 0 ? 'Enabled' : text.slice(at + 1))] }
}

function readCertificate(bytes: Uint8Array, file: string): X509Certificate {
  try {
    return new X509Certificate(bytes)
  } catch {
    throw new UsageError(`${file} is no certificate`, 'pkcs7 wants an X.509 certificate in PEM or DER')
  }
}

function isCertificate(bytes: Uint8Array): boolean {
  try {
    createPrivateKey(Buffer.from(bytes))
    return false
  } catch {
    // not a key in PEM
  }
  try {
    new X509Certificate(bytes)
    return true
  } catch {
    return false
  }
}
