import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startSimulatedGuest } from '@vouchsafe/simulator'
import { Command } from 'commander'
import pc from 'picocolors'
import { EXIT } from '../output.ts'
import { type Done, outputOf, verb } from './options.ts'

/** `vouchsafe up`: a simulated guest to try things on, until Ctrl-C. */
export function upCommand(done: Done): Command {
  return verb('up', 'start a simulated guest: a software TPM with a measured boot, until Ctrl-C')
    .option(
      '--dir <directory>',
      'where to keep its socket, boot log, maker’s root and register values (default: a temporary directory)',
    )
    .addHelpText('after', '\nExample:\n  $ vouchsafe up &\n  $ vouchsafe tpm pcrs --tpm swtpm:path=…')
    .action(async (options: { json?: boolean; dir?: string }) => {
      const parent = options.dir ?? mkdtempSync(path.join(tmpdir(), 'vouchsafe-up-'))
      const guest = await startSimulatedGuest({ directory: path.join(parent, 'guest') })
      const manufacturer = path.join(parent, 'manufacturer.der')
      const registers = path.join(parent, 'registers.json')
      writeFileSync(manufacturer, guest.manufacturerCertificate)
      writeFileSync(registers, `${JSON.stringify(guest.registers, null, 2)}\n`)
      outputOf(options).answer(
        { simulated: true, tpm: guest.tpm, bootLog: guest.bootLog, manufacturer, registers },
        `${pc.magenta('SIMULATED')} guest is up; Ctrl-C ends it\n  tpm           ${guest.tpm}\n  boot log      ${guest.bootLog}\n  manufacturer  ${manufacturer}\n  registers     ${registers}\n  try       vouchsafe tpm pcrs --tpm ${guest.tpm}\n            vouchsafe tpm events ${guest.bootLog}`,
      )
      await new Promise<void>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
        const alive = setInterval(() => {}, 60_000)
        process.once('exit', () => clearInterval(alive))
      })
      await guest.stop()
      if (options.dir === undefined) rmSync(parent, { recursive: true, force: true })
      done(EXIT.yes)
      process.exit(EXIT.yes)
    })
}
