#!/usr/bin/env node
// Kept free of imports until the version is known: older runtimes fail on syntax with no word of why.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `vouchsafe needs Node 24 or later, this is ${process.versions.node}\nhint: npx --package node@24 vouchsafe …`,
  )
  process.exit(2)
}
const { keepCompiledCode } = await import('../src/code-cache.ts')
keepCompiledCode()
for (const stream of [process.stdout, process.stderr])
  stream.on(
    'error',
    (error) => void import('../src/standard-output.ts').then(({ endWithoutReader }) => endWithoutReader(error)),
  )
const { main } = await import('../src/main.ts')
process.exitCode = await main(process.argv.slice(2))
