import { asObject, asString, member, optional } from './json.ts'

/** What an image runs on, in Go's words: `linux`, `amd64`, `arm64`, variant `v8`. */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** @throws {ImageError} `document.malformed` @source OCI image specification, image index: platform */
export function parsePlatform(value: unknown, what: string): Platform {
  const object = asObject(value, what)
  const variant = optional(object, 'variant', what, asString)
  return {
    os: asString(member(object, 'os', what), `${what}.os`),
    architecture: asString(member(object, 'architecture', what), `${what}.architecture`),
    ...(variant === undefined || variant === '' ? {} : { variant }),
  }
}

/** What an architecture means without a variant: two spellings of one platform. */
const BASELINE: ReadonlyMap<string, string> = new Map([
  ['arm64', 'v8'],
  ['amd64', 'v1'],
])

function normalVariant({ architecture, variant }: Platform): string {
  return variant === BASELINE.get(architecture) ? '' : (variant ?? '')
}

/** By operating system, architecture and variant, where the baseline variant and none are the same. */
export function samePlatform(a: Platform, b: Platform): boolean {
  return a.os === b.os && a.architecture === b.architecture && normalVariant(a) === normalVariant(b)
}

/** `linux/arm64/v8`, as command lines write it. */
export function platformText(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter((part) => part !== undefined).join('/')
}
