import { writeFileSync } from 'node:fs'
import { VouchsafeError } from '@vouchsafe/core'
import { RegoError, format } from '@vouchsafe/rego'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { readModules } from '../../policy/policy-files.ts'
import { type Done, outputOf, verb } from '../options.ts'

/** `vouchsafe policy fmt`: Rego as everybody writes it. */
export function fmtVerb(done: Done): Command {
  return verb('fmt', 'format Rego modules')
    .argument('<files...>', '.rego files, or folders')
    .option('--write', 'write the files; without it one file is printed')
    .option('--check', 'only tell which files would change')
    .addHelpText(
      'after',
      '\nExamples:\n  $ vouchsafe policy fmt release.rego\n  $ vouchsafe policy fmt --check policies/',
    )
    .action((files: string[], options: { json?: boolean; write?: boolean; check?: boolean }) => {
      const modules = Object.entries(readModules(files, 'with tests'))
      const formatted = modules.map(([file, text]) => ({ file, text, formatted: formatOne(file, text) }))
      const changed = formatted.filter((f) => f.text !== f.formatted)
      if (options.check === true || options.write === true) {
        if (options.write === true) for (const f of changed) writeFileSync(f.file, f.formatted)
        const said = changed.map((f) => f.file)
        outputOf(options).answer({ changed: said }, said.length === 0 ? 'all formatted' : said.join('\n'))
        return done(options.write === true || changed.length === 0 ? EXIT.yes : EXIT.no)
      }
      const [only] = formatted
      if (only === undefined || formatted.length > 1)
        throw new UsageError(`${formatted.length} files cannot be printed at once`, 'add --write or --check')
      outputOf(options).answer({ file: only.file, formatted: only.formatted }, only.formatted.trimEnd())
      done(EXIT.yes)
    })
}

function formatOne(file: string, text: string): string {
  try {
    return format(file, text)
  } catch (error) {
    if (!(error instanceof RegoError)) throw error
    throw new VouchsafeError('policy.invalid', readable(error, file), { cause: error })
  }
}

function readable(error: RegoError, file: string): string {
  return error.message.startsWith(file) ? error.message : `${file}: ${error.message}`
}
