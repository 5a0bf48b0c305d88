import { inspect } from 'node:util'
import { BrokerRefusal } from '@vouchsafe/client'
import { VouchsafeError } from '@vouchsafe/core'
import { ImageError } from '@vouchsafe/image'
import { TpmError } from '@vouchsafe/tpm/codec'
import pc from 'picocolors'
import { EXIT, UsageError, hintOf } from './output.ts'

/** The error, then a hint with what to try; the exit status follows from the code. */
export function report(error: unknown, json: boolean): number {
  const { code, message, hint, status } = explain(error)
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, ...(hint === '' ? {} : { hint }) } })}\n`)
  else process.stderr.write(`vouchsafe: ${pc.red(code)}: ${message}\n${hint === '' ? '' : `hint: ${hint}\n`}`)
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
  if (error instanceof UsageError)
    return { code: 'usage', message: error.message, hint: error.hint, status: EXIT.usage }
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
    return { code: error.code, message: error.message, hint: HINTS[error.code] ?? '', status: statusOf(error.code) }
  if (error instanceof TpmError)
    return { code: error.code, message: error.message, hint: HINTS[error.code] ?? '', status: statusOf(error.code) }
  if (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ENOENT' || error.code === 'EACCES' || error.code === 'EISDIR')
  )
    return {
      code: 'input.malformed',
      message: error.message,
      hint: 'check the path and its permissions',
      status: EXIT.badInput,
    }
  return {
    code: 'internal',
    message: inspect(error),
    hint: 'this is a bug: please report it with the command you ran',
    status: EXIT.bug,
  }
}

const HINTS: Readonly<Record<string, string>> = {
  'peer.unreachable': 'is the broker running? vouchsafe doctor tells what is missing',
  'peer.untrusted': 'the broker at this address is not the one that was pinned; compare its identity with its owner',
  'tpm.unavailable': 'on a laptop start a software TPM with: vouchsafe up; on a machine check /dev/tpmrm0',
  'encryption.no-key': 'give the key with --key; vouchsafe image show tells which layers are encrypted',
  'encryption.wrong-key': 'its recipients are others: ask who encrypted the image, or give another --key',
  'encryption.authentication':
    'somebody changed the layer, or its options, after it was encrypted: fetch it again, and ask who keeps it',
  'encryption.provider': 'is the key provider running? its address is in the file that --providers names',
  'encryption.pkcs11': 'name the module that may be loaded with --pkcs11-module FILE, and check token, key and PIN',
  'registry.denied': 'log in with skopeo login, and name the file it wrote with --auth-file',
  'registry.address': 'allow private networks or plain HTTP for this host in the file that --registries names',
  'key.passphrase': 'put the passphrase into a file, and name it with --passphrase-file',
  'policy.refused': 'vouchsafe image verify, with the same policy, tells what came of each signature',
  'signature.unverified': 'is this the signer’s key? vouchsafe image verify --list shows what is attached',
  'store.busy': 'another vouchsafe has the store open: wait for it, or name another one with --store',
  'custody.sealed': 'unseal the broker with its passphrase file',
}

/** What was handed over cannot be read; that an image is not what it claims is an answer, and no input error. */
const BAD_IMAGE_INPUT: ReadonlySet<string> = new Set([
  'reference.malformed',
  'digest.malformed',
  'document.malformed',
  'layout.malformed',
  'layout.missing',
  'build.input',
  'encryption.recipient',
  'key.malformed',
  'key.unsupported',
  'key.passphrase',
  'policy.malformed',
  'policy.material',
])

function statusOf(code: string): number {
  if (code === 'internal') return EXIT.bug
  if (code.startsWith('input.') || code.startsWith('endorsement.malformed') || BAD_IMAGE_INPUT.has(code))
    return EXIT.badInput
  if (
    code === 'peer.unreachable' ||
    code === 'tpm.unavailable' ||
    code === 'tpm.timeout' ||
    code === 'store.unavailable' ||
    code === 'registry.unavailable' ||
    code === 'encryption.provider'
  )
    return EXIT.unreachable
  return EXIT.no
}
