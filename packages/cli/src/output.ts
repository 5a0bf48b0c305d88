import { inspect } from 'node:util'
import { BrokerRefusal } from '@vouchsafe/client'
import { VouchsafeError } from '@vouchsafe/core'
import { ImageError } from '@vouchsafe/image'
import { TpmError } from '@vouchsafe/tpm/codec'
import pc from 'picocolors'

/** What a command ended with: yes, the answer is no, wrong usage, bad input, unreachable, a bug (style, section 12). */
export const EXIT = { yes: 0, no: 1, usage: 2, badInput: 3, unreachable: 4, bug: 5 } as const

/** How the user wants to be answered. stdout is the answer, stderr is talk. */
export interface Output {
  readonly json: boolean
  /** Prints the answer: one documented JSON object, or text for people. */
  answer(value: unknown, text: string): void
  /** Progress and remarks, on stderr; silent with `--json`. */
  talk(text: string): void
}

export function newOutput(json: boolean): Output {
  return {
    json,
    answer: (value, text) => void process.stdout.write(`${json ? JSON.stringify(value) : text}\n`),
    talk: (text) => {
      if (!json) process.stderr.write(`${text}\n`)
    },
  }
}

/** The error, then a hint with what to try; the exit status follows from the code. */
export function report(error: unknown, json: boolean): number {
  const { code, message, hint, status } = explain(error)
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, ...(hint === '' ? {} : { hint }) } })}\n`)
  else process.stderr.write(`vouchsafe: ${pc.red(code)}: ${message}\n${hint === '' ? '' : `hint: ${hint}\n`}`)
  return status
}

/** A mistake in how a command was called. */
export class UsageError extends Error {
  readonly hint: string
  constructor(message: string, hint: string) {
    super(message)
    this.hint = hint
  }
}

const hints = new WeakMap<Error, string>()

/** The same error, with what to try next where it arose; it stands before the general hint of its code. */
export function withHint<E>(error: E, hint: string): E {
  if (error instanceof Error && !hints.has(error)) hints.set(error, hint)
  return error
}

interface Explained {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly status: number
}

function explain(error: unknown): Explained {
  const explained = explainByCode(error)
  const hint = error instanceof Error ? hints.get(error) : undefined
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
