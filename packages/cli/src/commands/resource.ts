import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { withOwner } from '../files.ts'
import { EXIT, UsageError } from '../output.ts'
import { type As, type Done, outputOf, ownerVerb } from './options.ts'
import { table } from '../table.ts'

/** `vouchsafe resource …`: secrets at your broker. Values come from files or standard input, never from arguments. */
export function resourceCommand(done: Done): Command {
  return new Command('resource')
    .description('secrets at your broker')
    .addCommand(
      ownerVerb('put', 'put the next version of a resource')
        .argument('<path>', 'for example patients/key')
        .requiredOption('--file <file>', 'the value; - for standard input')
        .addHelpText('after', '\nExample:\n  $ head -c 32 /dev/urandom | vouchsafe resource put patients/key --file -')
        .action(async (path: string, options: As & { file: string }) => {
          if (options.file === '-' && process.stdin.isTTY)
            throw new UsageError('the value would be typed on a terminal', 'pipe it in, or name a file')
          const value = new Uint8Array(readFileSync(options.file === '-' ? 0 : options.file))
          await withOwner(options.as, async (client) => {
            const newest = (await client.listResources()).resources.find((r) => r.path === path)
            const put = await client.putResource(path, value, newest?.version ?? 0)
            outputOf(options).answer(put, `${put.path} version ${put.version}, ${value.length} bytes`)
          })
          done(EXIT.yes)
        }),
    )
    .addCommand(
      ownerVerb('list', 'resources, without their values').action(async (options: As) => {
        const { resources } = await withOwner(options.as, (client) => client.listResources())
        const rows = resources.map((r) => [
          r.path,
          `v${r.version}`,
          `${r.bytes} bytes`,
          r.created,
          r.removed ? 'removed' : '',
        ])
        outputOf(options).answer({ resources }, rows.length === 0 ? 'no resources' : table(rows))
        done(EXIT.yes)
      }),
    )
    .addCommand(
      ownerVerb('history', 'every version of one resource')
        .argument('<path>')
        .action(async (path: string, options: As) => {
          const { resources } = await withOwner(options.as, (client) => client.resourceHistory(path))
          outputOf(options).answer(
            { resources },
            resources.length === 0
              ? `no resource ${path}`
              : table(resources.map((r) => [`v${r.version}`, `${r.bytes} bytes`, r.created])),
          )
          done(resources.length === 0 ? EXIT.no : EXIT.yes)
        }),
    )
    .addCommand(
      ownerVerb('remove', 'release a resource no more; its history stays')
        .argument('<path>')
        .action(async (path: string, options: As) => {
          const removed = await withOwner(options.as, (client) => client.removeResource(path))
          outputOf(options).answer(removed, `${removed.path} is released no more`)
          done(EXIT.yes)
        }),
    )
}
