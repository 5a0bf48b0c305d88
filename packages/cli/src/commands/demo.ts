import { Command } from 'commander'
import { jsonReporter, textReporter } from '../demo/reporter.ts'
import { runDemo } from '../demo/run-demo.ts'
import { type Done, verb } from './options.ts'

/** `vouchsafe demo`: the whole idea, on real parts, on this machine. */
export function demoCommand(done: Done): Command {
  return verb('demo', 'two clinics, one answer, ten attacks refused; on a software TPM, on this machine')
    .option('--headless', 'no colour, nothing that needs a terminal')
    .option('--seed <text>', 'other patients, the same story', 'two-clinics')
    .addHelpText('after', '\nExamples:\n  $ vouchsafe demo\n  $ vouchsafe demo --headless --json | tail -1')
    .action(async (options: { json?: boolean; seed: string }) => {
      done(await runDemo(options.json === true ? jsonReporter() : textReporter(), options.seed))
    })
}
