import { fromBase64Url, parseSchema, parseStrictJson, toBase64Url } from '@vouchsafe/core'
import { z } from 'zod'
import { AgentError } from '../errors.ts'

const MAX_ANSWER_BYTES = 128 * 1024
const TIMEOUT_MS = 20_000
const answerSchema = z.object({ quote: z.string().max(64 * 1024) })

/**
 * The quote that Azure's metadata service makes of a TDREPORT, which only the platform itself could check. What is in it is
 * signed, so the service need not be trusted.
 *
 * @throws {AgentError} `platform.no-quote`
 */
export async function tdQuoteOf(tdReport: Uint8Array, service: string): Promise<Uint8Array> {
  try {
    const answer = await fetch(service, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ report: toBase64Url(tdReport) }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (!answer.ok) throw new Error(`it answers ${answer.status}`)
    const { quote } = parseSchema(
      answerSchema,
      parseStrictJson(await bounded(answer), { maxBytes: MAX_ANSWER_BYTES }),
      'quote',
    )
    return fromBase64Url(quote.replace(/=+$/, ''), 'quote')
  } catch (cause) {
    throw new AgentError('platform.no-quote', `${service}: ${(cause as Error).message}`, { cause })
  }
}

async function bounded({ body }: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body ?? []) {
    length += part.length
    if (length > MAX_ANSWER_BYTES) throw new Error(`it answers with more than ${MAX_ANSWER_BYTES} bytes`)
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}
