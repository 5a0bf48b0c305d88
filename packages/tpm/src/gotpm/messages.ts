import { fromBinary, toBinary } from '@bufbuild/protobuf'
import type { MessageShape } from '@bufbuild/protobuf'
import { fromText, toText } from '@bufbuild/protobuf/txtpb'
import { TpmError } from '../codec/errors.ts'
import { AttestationSchema, MachineStateSchema, SevSnpSvsmAttestationSchema } from './gen/attest_pb.js'
import { CertifiedBlobSchema, ImportBlobSchema, SealedBytesSchema } from './gen/tpm_pb.js'

/** As gotpm's `--format` has it: protobuf's wire format, or its text format. */
export type GotpmFormat = 'binarypb' | 'textproto'

const SCHEMAS = {
  attestation: AttestationSchema,
  'svsm-attestation': SevSnpSvsmAttestationSchema,
  'machine-state': MachineStateSchema,
  'sealed-bytes': SealedBytesSchema,
  'import-blob': ImportBlobSchema,
  'certified-blob': CertifiedBlobSchema,
} as const

/** The files that gotpm reads and writes. */
export type GotpmKind = keyof typeof SCHEMAS
export type GotpmMessage<K extends GotpmKind> = MessageShape<(typeof SCHEMAS)[K]>

const MAX_BYTES = 32 * 1024 * 1024
/** The deepest message, a TDX attestation, has six levels. */
const MAX_DEPTH = 16

/**
 * Reads a file of go-tpm-tools. Nothing in it is authentic.
 *
 * @throws {TpmError} `input.malformed`; `input.too-large` over 32 MiB.
 */
export function readGotpm<K extends GotpmKind>(kind: K, bytes: Uint8Array, format: GotpmFormat): GotpmMessage<K> {
  if (bytes.length > MAX_BYTES)
    throw new TpmError('input.too-large', `${kind}: ${bytes.length} bytes are over ${MAX_BYTES}`)
  const schema: (typeof SCHEMAS)[GotpmKind] = SCHEMAS[kind]
  try {
    // a copy: the message keeps parts of what it was read from
    if (format === 'binarypb') return fromBinary(schema, new Uint8Array(bytes)) as GotpmMessage<K>
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return fromText(schema, text, { recursionLimit: MAX_DEPTH }) as GotpmMessage<K>
  } catch (cause) {
    throw new TpmError('input.malformed', `${kind}: not ${format}: ${(cause as Error).message}`, { cause })
  }
}

/**
 * The format of a file of go-tpm-tools: what is text without control characters is its text format. A message on the wire
 * always has some: its keys and lengths.
 */
export function gotpmFormatOf(bytes: Uint8Array): GotpmFormat {
  const isText = bytes.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d)
  return isText && isUtf8(bytes) ? 'textproto' : 'binarypb'
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).length >= 0
  } catch {
    return false
  }
}

/** Writes a file that go-tpm-tools reads. */
export function writeGotpm<K extends GotpmKind>(
  kind: K,
  message: GotpmMessage<K>,
  format: GotpmFormat,
): Uint8Array<ArrayBuffer> {
  const schema: (typeof SCHEMAS)[GotpmKind] = SCHEMAS[kind]
  const bytes = format === 'binarypb' ? toBinary(schema, message) : new TextEncoder().encode(toText(schema, message))
  return new Uint8Array(bytes)
}
