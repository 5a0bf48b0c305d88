import { expect } from 'vitest'

/** Refused with this code, and with this in the message. */
export function refusal(code: string, message = ''): unknown {
  return expect.objectContaining({ code, message: expect.stringContaining(message) })
}
