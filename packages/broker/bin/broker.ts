#!/usr/bin/env node
// Kept free of imports until the version is known: older runtimes fail on syntax with no word of why.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(`vouchsafe broker needs Node 24 or later, this is ${process.versions.node}`)
  process.exit(2)
}
const { main } = await import('../src/main.ts')
process.exitCode = await main(process.argv.slice(2))
