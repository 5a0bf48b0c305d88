import { EXIT } from './output.ts'

/** Codes of the command line's own, beside those of the packages. Codes are API: add freely, never rename or reuse. */
export const CLI_ERROR_CODES = {
  usage: 'A command was called in a way that it does not know.',
  'machine.refused':
    'The machine refused for want of room, files or permission: no input is wrong, and nobody said no.',
} as const

/** What was handed over cannot be read; that an image is not what it claims is an answer, and no input error. */
const BAD_IMAGE_INPUT: ReadonlySet<string> = new Set([
  'reference.malformed',
  'digest.malformed',
  'document.malformed',
  'layout.malformed',
  'layout.missing',
  'archive.malformed',
  'archive.exists',
  'build.input',
  'encryption.recipient',
  'key.malformed',
  'key.unsupported',
  'key.passphrase',
  'policy.malformed',
  'proxy.settings',
  'policy.material',
])

const UNREACHABLE: ReadonlySet<string> = new Set([
  'machine.refused',
  'peer.unreachable',
  'tpm.unavailable',
  'tpm.timeout',
  'store.unavailable',
  'registry.unavailable',
  'registry.slow',
  'proxy.unavailable',
  'encryption.provider',
])

/** The exit status of a command that ends with an error. */
export function statusOf(code: string): number {
  if (code === 'internal') return EXIT.bug
  if (code === 'usage') return EXIT.usage
  if (code.startsWith('input.') || code.startsWith('endorsement.malformed') || BAD_IMAGE_INPUT.has(code))
    return EXIT.badInput
  return UNREACHABLE.has(code) ? EXIT.unreachable : EXIT.no
}
