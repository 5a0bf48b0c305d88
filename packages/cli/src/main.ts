import { Command, CommanderError } from 'commander'
import { NOUNS } from './commands/nouns.ts'
import { EXIT, UsageError } from './output.ts'

/** Runs one command line. @returns The exit status. */
export async function main(args: readonly string[]): Promise<number> {
  const program = new Command('vouchsafe')
    .description('releases a secret only to code that has proved what it is and where it runs')
    .version('0.1.0')
    .showHelpAfterError('(try --help)')
    .configureHelp({ sortSubcommands: false })
    .addHelpText(
      'after',
      '\nBegin with:\n  $ vouchsafe demo          two clinics, one answer, ten attacks refused\n  $ vouchsafe doctor        what this machine has and lacks',
    )
  let status: number = EXIT.yes
  const done = (exit: number) => void (status = exit)
  const [asked, verb] = wordsOf(args)
  for (const { name, description, load } of NOUNS)
    program.addCommand(name === asked ? (await load(verb))(done) : new Command(name).description(description))
  exitInsteadOfThrowing(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.yes
    if (error instanceof CommanderError && !args.includes('--json')) return EXIT.usage
    const { report } = await import('./report.ts') // it knows every package's errors, so it takes long to read
    return report(error instanceof CommanderError ? usageOf(error) : error, args.includes('--json'))
  }
}

/** Commander told the terminal already; whoever asked for JSON gets an object all the same. */
function usageOf({ message }: CommanderError): UsageError {
  return new UsageError(message.replace(/^error: /, '').replace(/\s+/g, ' '), 'add --help to the command')
}

/** What a command line is about: its words, without a `help` before them. No option that comes before a noun has a value. */
function wordsOf(args: readonly string[]): readonly string[] {
  const words = args.filter((arg) => !arg.startsWith('-'))
  return words[0] === 'help' ? words.slice(1) : words
}

function exitInsteadOfThrowing(command: Command): void {
  command.exitOverride()
  for (const sub of command.commands) exitInsteadOfThrowing(sub)
}
