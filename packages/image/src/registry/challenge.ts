import { ImageError } from '../errors.ts'

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const QUOTED = /"((?:[^"\\\r\n]|\\[^\r\n])*)"/y

/**
 * Reads a WWW-Authenticate header: challenges separated by commas, each with parameters separated by commas.
 *
 * @throws {ImageError} `registry.protocol` on anything else, also on a parameter given twice.
 * @source RFC 9110 section 11.6.1
 */
export function parseChallenges(header: string): readonly Challenge[] {
  if (header.length > 4096) throw malformed('it is too long')
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  let at = 0
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(header)
    if (found !== null) at = pattern.lastIndex
    return found
  }
  const space = () => match(/[ \t]*/y)
  while (at < header.length) {
    space()
    const name = match(TOKEN)?.[0]
    if (name === undefined) throw malformed(`at offset ${at}`)
    space()
    if (match(/=/y) !== null) {
      space()
      const quoted = match(QUOTED)?.[1]
      const value = quoted === undefined ? match(TOKEN)?.[0] : quoted.replace(/\\(.)/g, '$1')
      const current = challenges.at(-1)
      if (value === undefined || current === undefined) throw malformed(`at offset ${at}`)
      if (current.parameters.has(name.toLowerCase())) throw malformed(`${name} is given twice`)
      current.parameters.set(name.toLowerCase(), value)
    } else {
      challenges.push({ scheme: name.toLowerCase(), parameters: new Map() })
      if (header[at] !== ',') continue
    }
    space()
    if (at < header.length && match(/,/y) === null) throw malformed(`at offset ${at}`)
  }
  return challenges
}

function malformed(why: string): ImageError {
  return new ImageError('registry.protocol', `WWW-Authenticate cannot be read: ${why}`)
}
