import { z } from 'zod'

/** What UWear and USleep speak. The name is part of the channel binding, so a token made for it is worth nothing elsewhere. */
export const PROTOCOL = 'vouchsafe-sleep.v1'
export const PATH = '/connection'
/** USleep’s name in TLS and HTTP. It says nothing about who answers: the token does. */
export const SERVER_NAME = 'usleep.example'
/** USleep shows evidence, UWear judges it. */
export const CHANNEL = { attester: 'server', protocol: PROTOCOL } as const
export const MAX_MESSAGE_BYTES = 64 * 1024
export const HANDSHAKE_MS = 5_000
export const MESSAGE_MS = 10_000

/** Why one end hangs up, as WebSocket close codes of the private range. */
export const CLOSE = { done: 1000, refused: 4403, unusable: 4400, failed: 4500 } as const

const minutes = z.number().int().min(0).max(1440)
/** What UWear sends: one night. */
export const nightSchema = z.strictObject({
  name: z.string().min(1).max(200),
  age: z.number().int().min(0).max(150),
  sleep: z.strictObject({
    light: z.strictObject({ minutes }),
    deep: z.strictObject({ minutes }),
    rem: z.strictObject({ minutes }),
  }),
})
export type Night = z.infer<typeof nightSchema>

/** What USleep answers. `asCodelab` is what the codelab’s own program says of the same night; see `verdict.ts`. */
export const verdictSchema = z.strictObject({ verdict: z.string(), asCodelab: z.string() })
export type Verdict = z.infer<typeof verdictSchema>
