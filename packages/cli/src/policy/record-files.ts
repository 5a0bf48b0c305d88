import { closeSync, fstatSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import {
  type Envelope,
  MAX_RECORD_BYTES,
  VouchsafeError,
  envelopeSchema,
  parseSchema,
  parseStrictJson,
} from '@vouchsafe/core'

const MAX_RECORD_FILE = 2 * MAX_RECORD_BYTES
/** Some thirty records. */
const PIECE_BYTES = 1024 * 1024
const NEWLINE = 10

/** Whether the piece of this number is for whoever asks. Asked once for each, in order. */
export type Take = (piece: number) => boolean

/**
 * What one of several threads takes that all go through the same files: whoever comes to a piece first has it, so a
 * thread that started late, or is slow, takes less.
 *
 * @param taken - One number that all of them share, zero at first: how many pieces were taken.
 */
export function takingTurns(taken: Int32Array<SharedArrayBuffer>): Take {
  return (piece) => Atomics.compareExchange(taken, 0, piece, piece + 1) === piece
}

/**
 * Record envelopes, one after another: of files as `why --save` writes them, of folders of such, of JSON lines (`.jsonl`).
 *
 * @param take - Of a file of JSON lines each `pieceBytes` are a piece, with the lines that begin there; another file is one.
 * @throws {VouchsafeError} `input.*`, with file and line
 */
export function* readEnvelopes(
  files: readonly string[],
  take: Take = () => true,
  pieceBytes: number = PIECE_BYTES,
): Generator<Envelope> {
  let piece = 0
  for (const file of files.flatMap(filesBelow)) {
    if (!file.endsWith('.jsonl')) {
      if (take(piece++)) yield parsed(readFileSync(file, 'utf8'), () => file)
      continue
    }
    const { size } = statSync(file)
    for (let from = 0; from < size; from += pieceBytes)
      if (take(piece++))
        for (const { text, at } of linesFrom(file, from, from + pieceBytes))
          yield parsed(text, () => `${file}:${lineNumber(file, at)}`)
  }
}

function filesBelow(file: string): readonly string[] {
  if (!statSync(file).isDirectory()) return [file]
  return readdirSync(file)
    .filter((f) => f.endsWith('.json') || f.endsWith('.jsonl'))
    .sort()
    .map((f) => path.join(file, f))
}

function parsed(text: string, where: () => string): Envelope {
  try {
    return parseSchema(envelopeSchema, parseStrictJson(text, { maxBytes: MAX_RECORD_FILE }), 'envelope')
  } catch (error) {
    if (!(error instanceof VouchsafeError)) throw error
    throw new VouchsafeError(error.code, `${where()}: ${error.message}`, { cause: error })
  }
}

/** The lines that begin in a part of a file of any size, with where each begins; empty ones are left out. */
function* linesFrom(
  file: string,
  from: number,
  until: number,
): Generator<{ readonly text: string; readonly at: number }> {
  const fd = openSync(file, 'r')
  try {
    const end = Math.min(until, fstatSync(fd).size)
    // the byte before tells whether a line begins here
    let base = Math.max(0, from - 1)
    let bytes = readAt(fd, base, end - base)
    let at = from === 0 ? 0 : base + bytes.indexOf(NEWLINE) + 1
    if (at === base && from > 0) return // all of it is the middle of a line
    while (at < end) {
      let stop = bytes.indexOf(NEWLINE, at - base)
      if (stop === -1) {
        bytes = wholeLine(fd, at) ?? tooLong(file, at)
        base = at
        stop = bytes.length
      }
      if (stop > at - base) yield { text: bytes.toString('utf8', at - base, stop), at }
      at = base + stop + 1
    }
  } finally {
    closeSync(fd)
  }
}

/** The line that begins here, wherever it ends; undefined when it is longer than a line may be. */
function wholeLine(fd: number, at: number): Buffer | undefined {
  for (let length = 128 * 1024; ; length *= 4) {
    const bytes = readAt(fd, at, Math.min(length, MAX_RECORD_FILE + 1))
    const stop = bytes.indexOf(NEWLINE)
    if (stop !== -1) return bytes.subarray(0, stop)
    if (bytes.length > MAX_RECORD_FILE) return undefined
    if (bytes.length < length) return bytes
  }
}

function tooLong(file: string, at: number): never {
  throw new VouchsafeError(
    'input.too-large',
    `${file}:${lineNumber(file, at)}: a line is over ${MAX_RECORD_FILE} bytes`,
  )
}

function readAt(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const read = readSync(fd, bytes, filled, length - filled, position + filled)
    if (read === 0) break
    filled += read
  }
  return bytes.subarray(0, filled)
}

/** Counted only where something is wrong with the line. */
function lineNumber(file: string, at: number): number {
  const fd = openSync(file, 'r')
  try {
    let lines = 1
    for (let from = 0; from < at; from += PIECE_BYTES)
      for (const byte of readAt(fd, from, Math.min(PIECE_BYTES, at - from))) if (byte === NEWLINE) lines++
    return lines
  } finally {
    closeSync(fd)
  }
}
