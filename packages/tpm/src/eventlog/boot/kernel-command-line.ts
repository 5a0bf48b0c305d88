import { TpmError } from '../../codec/errors.ts'

/** One word of a kernel command line: `quiet`, or `root=/dev/sda1`. Quotes around a value, or around the word, are removed. */
export interface KernelParameter {
  readonly name: string
  /** Absent for a word without `=`. */
  readonly value?: string
}

export interface KernelCommandLine {
  /** The text as it was measured. */
  readonly text: string
  /** All words up to `--`, in order. */
  readonly parameters: readonly KernelParameter[]
  /** Words after `--`: the kernel hands them to init. */
  readonly initArguments: readonly string[]
  /** Names that occur more than once, as they are first written. Which of the values counts depends on the parameter. */
  readonly repeated: readonly string[]
}

/**
 * Takes a kernel command line apart by a strict grammar (C10): printable ASCII, words between spaces, quotes only around a
 * whole word or a whole value. The kernel itself takes quotes anywhere, and so reads some lines in another way than they
 * look; those are refused.
 *
 * @throws {TpmError} `evidence.log`
 * @source Linux, lib/cmdline.c: next_arg
 */
export function parseKernelCommandLine(text: string): KernelCommandLine {
  if (!/^[\x20-\x7e]*$/.test(text)) throw refused('it holds bytes that are not printable ASCII')
  const words = splitWords(text)
  const end = words.indexOf('--')
  const parameters = (end < 0 ? words : words.slice(0, end)).map(parameterOf)
  return { text, parameters, initArguments: end < 0 ? [] : words.slice(end + 1), repeated: repeats(parameters) }
}

/**
 * The value of a parameter that may be given once: its text, `true` for a bare word, undefined when it is not given.
 *
 * @throws {TpmError} `evidence.log` when it is repeated, also with equal values.
 */
export function singleParameter(line: KernelCommandLine, name: string): string | true | undefined {
  const [found, ...more] = line.parameters.filter((parameter) => sameName(parameter.name) === sameName(name))
  if (more.length > 0) throw refused(`${name} is given ${more.length + 1} times`)
  return found === undefined ? undefined : (found.value ?? true)
}

function splitWords(text: string): readonly string[] {
  const words: string[] = []
  const word = /(?: |$)|"[^"]*"(?= |$)|[^ "]+="[^"]*"(?= |$)|[^ "]+(?= |$)/gy
  for (let at = 0; at < text.length; at = word.lastIndex) {
    word.lastIndex = at
    const [found] = word.exec(text) ?? []
    if (found === undefined)
      throw refused(`its quotes do not enclose a whole word or value: ${text.slice(at, at + 40)}`)
    if (found !== ' ') words.push(found)
  }
  return words
}

function parameterOf(word: string): KernelParameter {
  const bare = word.startsWith('"') ? word.slice(1, -1) : word
  const equals = bare.indexOf('=')
  if (equals < 0) return { name: bare }
  const value = bare.slice(equals + 1)
  const quoted = !word.startsWith('"') && value.startsWith('"')
  return { name: bare.slice(0, equals), value: quoted ? value.slice(1, -1) : value }
}

/** The kernel takes `-` and `_` in a name for the same. */
function sameName(name: string): string {
  return name.includes('-') ? name.replaceAll('-', '_') : name
}

function repeats(parameters: readonly KernelParameter[]): readonly string[] {
  const first = new Map<string, string>()
  const repeated = new Set<string>()
  for (const { name } of parameters) {
    const before = first.get(sameName(name))
    if (before === undefined) first.set(sameName(name), name)
    else repeated.add(before)
  }
  return [...repeated]
}

function refused(why: string): TpmError {
  return new TpmError('evidence.log', `kernel command line: ${why}`)
}
