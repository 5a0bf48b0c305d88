import type { Brand } from '../base/brand.ts'
import type { CryptoPort } from '../base/crypto.ts'
import { concat, fromBase64, toBase64, utf8 } from '../base/encoding.ts'
import { VouchsafeError } from '../base/errors.ts'
import { spkiOfEd25519 } from '../base/keys.ts'
import { type LogKey, noteName } from './log-key.ts'
import { sameBytes } from './proof.ts'

/** The state of a log: these three lines are what its key signs. */
export interface Checkpoint {
  /** Which log this is; see `logOrigin`. */
  readonly origin: string
  readonly size: number
  /** RFC 6962 root over `size` entries, 32 bytes. */
  readonly root: Uint8Array
}

/** A checkpoint whose signature by the log's key was checked. Made by `verifyCheckpoint` only. */
export type VerifiedCheckpoint = Brand<Checkpoint, 'VerifiedCheckpoint'>

/** A checkpoint as read; nothing in it is authenticated. */
export interface SignedCheckpoint extends Checkpoint {
  /** The signed part, exact: three lines, each with its newline. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

interface NoteSignature {
  readonly name: string
  /** Four bytes that say which key of that name; an identifier, not a proof. */
  readonly keyHash: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Signs checkpoints. Synchronous, because the signature is made inside the transaction that appends (decision 15).
 * `name` is the log's origin; `keyHash` is that of its `LogKey`.
 */
export interface CheckpointSigner {
  readonly name: string
  readonly keyHash: Uint8Array
  /** Ed25519 over the exact bytes: 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array
}

const MAX_BYTES = 16 * 1024
const MAX_SIGNATURES = 16

/**
 * A signed checkpoint as text. A log must sign only states that continue the ones it signed before.
 *
 * @throws {VouchsafeError} `internal` when the signer's name is not the origin.
 * @source https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note
 */
export function formatCheckpoint(checkpoint: Checkpoint, signer: CheckpointSigner): string {
  if (signer.name !== checkpoint.origin)
    throw new VouchsafeError('internal', `signer ${signer.name} does not sign for log ${checkpoint.origin}`)
  const text = `${noteName(checkpoint.origin)}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`
  const signature = toBase64(concat(signer.keyHash, signer.sign(utf8(text))))
  return `${text}\n— ${signer.name} ${signature}\n`
}

/**
 * Reads a checkpoint. Stricter than the note format where that leaves freedom: no extension lines, at most 16
 * signatures, at most 16 KiB. Nothing in the result is authenticated: pass the text to `verifyCheckpoint`.
 *
 * @throws {VouchsafeError} `input.malformed`, naming the line; `input.too-large`.
 */
export function parseCheckpoint(note: string): SignedCheckpoint {
  if (note.length > MAX_BYTES)
    throw new VouchsafeError('input.too-large', `checkpoint: ${note.length} characters, at most ${MAX_BYTES}`)
  if (!note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f\u007f]/.test(note))
    throw malformed('a control character or lone surrogate')
  if (!note.endsWith('\n')) throw malformed('the last line has no newline')
  const [origin = '', size = '', root = '', blank, ...signatures] = note.slice(0, -1).split('\n')
  if (!/^(?:0|[1-9][0-9]*)$/.test(size) || !Number.isSafeInteger(Number(size)))
    throw malformed('line 2 is not a tree size')
  const rootBytes = fromBase64(root, 'checkpoint: root')
  if (rootBytes.length !== 32) throw malformed(`the root has ${rootBytes.length} bytes, wanted 32`)
  if (blank !== '') throw malformed('line 4 is not blank; extension lines are not accepted')
  if (signatures.length === 0 || signatures.length > MAX_SIGNATURES)
    throw malformed(`${signatures.length} signatures, wanted 1 to ${MAX_SIGNATURES}`)
  return {
    origin: noteName(origin),
    size: Number(size),
    root: rootBytes,
    text: `${origin}\n${size}\n${root}\n`,
    signatures: signatures.map(parseSignature),
  }
}

function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? []
  if (name === undefined || encoded === undefined) throw malformed('a signature line is not “— name base64”')
  const bytes = fromBase64(encoded, 'checkpoint: signature')
  if (bytes.length < 5) throw malformed('a signature is too short')
  return { name: noteName(name), keyHash: bytes.slice(0, 4), signature: bytes.slice(4) }
}

/**
 * Checks that a log signed this checkpoint. Signatures by other keys (witnesses, a key rotated out) are passed over.
 *
 * @param key - The log's key, from the agreement or an owner's file, never from the note. The origin must be its name.
 * @throws {VouchsafeError} `input.malformed`; `ledger.checkpoint` when it is another log's, or not signed by that key.
 */
export async function verifyCheckpoint(note: string, key: LogKey, crypto: CryptoPort): Promise<VerifiedCheckpoint> {
  const { origin, size, root, text, signatures } = parseCheckpoint(note)
  if (origin !== key.name)
    throw new VouchsafeError('ledger.checkpoint', `checkpoint of log ${origin}, wanted ${key.name}`)
  const ours = signatures.filter((s) => s.name === key.name && sameBytes(s.keyHash, key.keyHash))
  if (ours.length === 0) throw new VouchsafeError('ledger.checkpoint', `the checkpoint is not signed by ${key.name}`)
  const publicKey = await crypto.importPublicKey(spkiOfEd25519(key.publicKey))
  for (const { signature } of ours) {
    // one bad signature under a known key condemns the note, as signed-note advises
    if (!(await crypto.verify(publicKey, { kind: 'ed25519' }, utf8(text), signature)))
      throw new VouchsafeError('ledger.checkpoint', `the checkpoint’s signature by ${key.name} does not verify`)
  }
  return { origin, size, root } as VerifiedCheckpoint
}

function malformed(why: string): VouchsafeError {
  return new VouchsafeError('input.malformed', `checkpoint: ${why}`)
}
