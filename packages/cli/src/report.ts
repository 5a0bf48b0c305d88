import { inspect } from 'node:util'
import { BrokerRefusal } from '@vouchsafe/client'
import { VouchsafeError } from '@vouchsafe/core'
import { ImageError } from '@vouchsafe/image'
import { TpmError } from '@vouchsafe/tpm/codec'
import pc from 'picocolors'
import { statusOf } from './exit-status.ts'
import { MACHINE_REFUSED, machineTrouble, systemCode } from './machine-trouble.ts'
import { EXIT, UsageError, hintOf } from './output.ts'
import { printable } from './printable.ts'

/** The error, then a hint with what to try; the exit status follows from the code. */
export function report(error: unknown, json: boolean): number {
  const { code, message, hint, status } = explain(error)
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, ...(hint === '' ? {} : { hint }) } })}\n`)
  else
    process.stderr.write(
      `vouchsafe: ${pc.red(code)}: ${code === 'internal' ? message : printable(message)}\n${hint === '' ? '' : `hint: ${hint}\n`}`,
    )
  return status
}

interface Explained {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly status: number
}

function explain(error: unknown): Explained {
  const explained = explainByCode(error)
  const hint = hintOf(error)
  return hint === undefined ? explained : { ...explained, hint }
}

function explainByCode(error: unknown): Explained {
  const isCoded = error instanceof VouchsafeError || error instanceof ImageError || error instanceof TpmError
  const trouble = error instanceof Error ? machineTrouble(error, isCoded ? error.code : undefined) : undefined
  if (error instanceof Error && trouble !== undefined)
    return { code: MACHINE_REFUSED, message: error.message, hint: trouble, status: statusOf(MACHINE_REFUSED) }
  if (error instanceof UsageError)
    return { code: 'usage', message: error.message, hint: error.hint, status: statusOf('usage') }
  if (error instanceof BrokerRefusal) {
    const hint =
      error.decision === null
        ? `the broker logged it as ${error.requestId}`
        : `its owner sees all of it with: vouchsafe why ${error.decision}`
    return { code: error.code, message: error.message, hint, status: statusOf(error.code) }
  }
  if (error instanceof VouchsafeError)
    return { code: error.code, message: error.message, hint: HINTS[error.code] ?? '', status: statusOf(error.code) }
  if (error instanceof ImageError)
    return { code: error.code, message: error.message, hint: imageHint(error), status: statusOf(error.code) }
  if (error instanceof TpmError)
    return { code: error.code, message: error.message, hint: HINTS[error.code] ?? '', status: statusOf(error.code) }
  const refused = error instanceof Error ? OF_A_PATH[systemCode(error)] : undefined
  if (error instanceof Error && refused !== undefined)
    return { code: 'input.malformed', message: error.message, hint: refused, status: EXIT.badInput }
  return {
    code: 'internal',
    message: inspect(error),
    hint: 'this is a bug: please report it with the command you ran',
    status: EXIT.bug,
  }
}

const CHECK_PATH = 'check the path'
/** What the operating system says of a path that was handed over: no bug, and what to do about it. */
const OF_A_PATH: Readonly<Record<string, string>> = {
  ENOENT: CHECK_PATH,
  EISDIR: 'a directory is named where a file is wanted',
  EEXIST: 'it is there already: remove it, or name another one',
  ENOTDIR: CHECK_PATH,
  ENAMETOOLONG: CHECK_PATH,
}

/** Of a registry that cannot be reached, what the system says of the connection tells what to do. */
function imageHint({ code, cause }: ImageError): string {
  const system = code === 'registry.unavailable' && cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return OF_THE_CONNECTION[system] ?? HINTS[code] ?? ''
}

const UNKNOWN_AUTHORITY =
  'its CA is not trusted here: name it under certificateAuthorities, for this host, in the file of --registries'
const WANTS_CERTIFICATE =
  'it wants a certificate of ours, or another one: {"HOST:PORT": {"clientCertificate": {"certificate": …, "key": …}}} in the file of --registries'
const OF_THE_CONNECTION: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'who runs the registry renews its certificate; or the clock of this machine is wrong',
  CERT_NOT_YET_VALID: 'is the clock of this machine right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is of another host: name the registry as its certificate does',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE': WANTS_CERTIFICATE,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: WANTS_CERTIFICATE,
  ECONNREFUSED: 'is the registry running, and is this its port?',
  ENOTFOUND:
    'is the name right? without a host it is asked for at docker.io; what lies here is written oci:DIR or oci-archive:FILE',
}

const HINTS: Readonly<Record<string, string>> = {
  'peer.unreachable': 'is the broker running? vouchsafe doctor tells what is missing',
  'peer.untrusted': 'the broker at this address is not the one that was pinned; compare its identity with its owner',
  'tpm.unavailable': 'on a laptop start a software TPM with: vouchsafe up; on a machine check /dev/tpmrm0',
  'encryption.recipient':
    'a recipient is a public key or certificate: openssl pkey -in alice.pem -pubout -out alice.pub; layers count from 0, as vouchsafe image show lists them; OpenPGP wants a subkey to encrypt with (gpg --quick-add-key FINGERPRINT rsa3072 encr), a token’s key of 2048 bits --oaep-hash sha1',
  'encryption.no-key':
    'give the key with --key, of pkcs7 recipients both: --key CERTIFICATE --key PRIVATE-KEY; vouchsafe image show tells for whom layers are encrypted',
  'encryption.wrong-key': 'its recipients are others: ask who encrypted the image, or give another --key',
  'encryption.authentication':
    'somebody changed the layer, or its options, after it was encrypted: fetch it again, and ask who keeps it',
  'encryption.provider': 'is the key provider running? its address is in the file that --providers names',
  'encryption.pkcs11': 'name the module that may be loaded with --pkcs11-module FILE, and check token, key and PIN',
  'registry.denied': 'log in with skopeo login, and name the file it wrote with --auth-file',
  'registry.address':
    'say so in the file that --registries names: {"HOST:PORT": {"privateNetwork": true}}, and "plainHttp": true where it has no TLS',
  'registry.unavailable':
    'try again later; a certificate of your own CA is trusted where the file of --registries names it (certificateAuthorities)',
  'registry.slow':
    'try again later, name a mirror in the file of --registries, or ask for less with --least-rate BYTES',
  'proxy.settings':
    'HTTPS_PROXY, HTTP_PROXY: write http://user:password@host:port, special characters as %40 (@), %23 (#), %2F (/)',
  'proxy.denied':
    'ask who runs the proxy, give user and password in HTTPS_PROXY, or name the registry in NO_PROXY if it is reached without',
  'proxy.unavailable':
    'is HTTPS_PROXY (HTTP_PROXY for plainHttp) right? a proxy with a certificate of your own CA has its entry, by its host, in the file of --registries',
  'registry.redirect': 'name the host under redirectHosts, for this registry, in the file that --registries names',
  'registry.realm': 'name the host under realmHosts, for this registry, in the file that --registries names',
  'registry.not-found': 'is the name right? a registry may also say this to who is not logged in: --auth-file',
  'reference.malformed': 'write HOST/PATH:TAG in lower case, for example registry.example/team/app:v1',
  'layout.missing': 'check path and name; vouchsafe image build, or skopeo copy, make what oci:DIR:TAG stands for',
  'layout.malformed': 'name a directory that is empty, absent, or a layout already: oci:DIR:TAG',
  'archive.malformed': 'an archive is what docker save or skopeo copy wrote, as it is: one tar file, not compressed',
  'archive.exists': 'remove it, or name another file',
  'chain.platform': 'name one of those there are with --platform',
  'unpack.special': 'who trusts the image with devices and FIFOs says --faithful',
  'unpack.target': 'name a directory that does not exist yet, where you may write',
  'unpack.filesystem': 'is the disk full, read-only, or without a feature? name a place on another one',
  'store.corrupt': 'pull the image again, or remove it by its whole digest: vouchsafe image remove sha256:…',
  'store.profile':
    'images pulled with --faithful and without lie in stores of their own: name another one with --store',
  'store.filesystem': 'the store must be a directory of yours, mode 0700, on a disk that has room: --store',
  'store.missing': 'vouchsafe image list tells what there is',
  'key.passphrase': 'put the passphrase into a file, and name it with --passphrase-file',
  'key.malformed': 'vouchsafe image key makes a pair; for --gpg-key: gpg --armor --export-secret-keys ADDRESS',
  'policy.malformed': 'the whole file counts for nothing until this is right; its words are in docs/guide/images.md',
  'policy.material': 'is the path right, may you read it, and is it a public key? in a policy whole paths are safest',
  'policy.refused': 'vouchsafe image verify, with the same policy, tells what came of each signature',
  'signature.unverified': 'is this the signer’s key? vouchsafe image verify --list shows what is attached',
  'store.busy':
    'another vouchsafe has the store open, or the image is mounted: wait for it, unmount it, or name another --store',
  'custody.sealed': 'unseal the broker with its passphrase file',
}
