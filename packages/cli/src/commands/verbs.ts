import { Command } from 'commander'
import type { Done } from './options.ts'

type Verb = (done: Done) => Command

/**
 * A noun whose verbs each read their own modules.
 *
 * @param verbs - In the order of the help page.
 * @param aliases - Other names of verbs.
 * @returns What reads the verb that is asked for, and all of them where it is none of these.
 */
export function nounOf(
  name: string,
  description: string,
  verbs: Readonly<Record<string, () => Promise<Verb>>>,
  aliases: Readonly<Record<string, string>> = {},
): (asked?: string) => Promise<Verb> {
  const readers = new Map(Object.entries(verbs))
  return async (asked = '') => {
    const only = readers.get(aliases[asked] ?? asked)
    const read = await Promise.all(only === undefined ? Object.values(verbs).map((load) => load()) : [only()])
    return (done) => {
      const noun = new Command(name).description(description)
      for (const verb of read) noun.addCommand(verb(done))
      return noun
    }
  }
}
