import { readFileSync, writeFileSync } from 'node:fs'
import { checkLedger, formatExportedEntry, fromUtf8, parseExportedEntry, parseLogKey, utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Drill } from './drill.ts'

/** Somebody with access to A's exported log makes a denial look like a release. */
export const editedLedger: Drill = {
  id: 'edited-ledger',
  title: 'A line of the exported ledger is edited',
  mustRefuseWith: 'altered',
  run: async ({ world, a }) => {
    const file = world.file('edited-ledger.jsonl')
    writeFileSync(file, await a.owner.exportLedger())
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    const at = lines.findIndex((line) => decoded(line).includes('"outcome":"wait"'))
    if (at < 0)
      return { code: 'none', check: 'none', expected: 'an entry to edit', actual: 'the log holds none', advice: '' }
    lines[at] = edited(lines[at] ?? '')
    writeFileSync(file, `${lines.join('\n')}\n`)
    const check = await checkLedger(readFileSync(file, 'utf8').trimEnd().split('\n'), {
      logKey: parseLogKey(a.pin.log, nodeCrypto),
      crypto: nodeCrypto,
    })
    return {
      code: check.ok ? 'none' : check.problem,
      check: 'the Merkle root that was signed when the entry was appended',
      expected: `entry ${at} as it was signed`,
      actual: check.statement,
      advice: 'Take the log from the broker again, and compare it with the checkpoints and receipts that you kept.',
    }
  },
}

function decoded(line: string): string {
  return fromUtf8(parseExportedEntry(line).entry)
}

function edited(line: string): string {
  const { entry, checkpoint } = parseExportedEntry(line)
  return formatExportedEntry({
    entry: utf8(fromUtf8(entry).replace('"outcome":"wait"', '"outcome":"open"')),
    checkpoint,
  })
}
