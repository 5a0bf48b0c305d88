import { z } from 'zod'
import { fromUtf8 } from '../../base/encoding.ts'
import { parsePem } from '../../x509/index.ts'
import type { GpuEvidence } from '../nvidia/verify-gpu.ts'
import { base64Bytes, byteArray, hexBytes, parseMessage } from './message-bytes.ts'

const MAX_TEXT = 256 * 1024
const quoteSchema = z.object({ quote: z.string().max(MAX_TEXT), cc_eventlog: z.string().max(4_000_000).nullish() })

/** A quote, of a TD or an enclave, with the TD's event log where there is one. */
export function readQuoteMessage(file: Uint8Array): { readonly quote: Uint8Array; readonly eventLog?: Uint8Array } {
  const message = parseMessage(file, quoteSchema, 'quote message')
  const log = message.cc_eventlog ?? ''
  return {
    quote: base64Bytes(message.quote, 'quote message: quote'),
    ...(log !== '' && { eventLog: base64Bytes(log, 'quote message: cc_eventlog') }),
  }
}

const ccaSchema = z.object({ token: byteArray(64 * 1024) })

/** Arm’s token, as numbers. */
export function readCcaMessage(file: Uint8Array): Uint8Array {
  return Uint8Array.from(parseMessage(file, ccaSchema, 'CCA message').token)
}

const gpuSchema = z.object({
  device_evidence_list: z
    .array(z.object({ evidence: z.string().max(MAX_TEXT), certificate: z.string().max(MAX_TEXT) }))
    .min(1)
    .max(64),
})

/** All devices of a machine: reports in hexadecimal or base64, chains in PEM under base64. */
export function readGpuMessage(file: Uint8Array): readonly GpuEvidence[] {
  return parseMessage(file, gpuSchema, 'GPU message').device_evidence_list.map(({ evidence, certificate }) => ({
    report: /^[0-9a-fA-F]+$/.test(evidence)
      ? hexBytes(evidence, 'GPU message: evidence')
      : base64Bytes(evidence, 'GPU message: evidence'),
    chain: readGpuChain(fromUtf8(base64Bytes(certificate, 'GPU message: certificate'), 'GPU message: certificate')),
  }))
}

/** A device’s chain in PEM, the signing key’s certificate first; the root at its end is the verifier’s to have. */
export function readGpuChain(pem: string): readonly Uint8Array[] {
  return parsePem(pem, 'CERTIFICATE')
}
