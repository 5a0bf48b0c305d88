import { chmodSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Plugin, build } from 'esbuild'

/**
 * Makes the agent one file that needs nothing but Node: what goes into a guest's image. Starting it takes a quarter of
 * what starting from source does, since there is one module to read and nothing to strip.
 *
 * @returns Its size in bytes.
 */
export async function bundleAgent(outfile: string): Promise<number> {
  await bundleProgram(fileURLToPath(new URL('./agent.ts', import.meta.url)), outfile)
  return statSync(outfile).size
}

/** Makes one executable file of a program and all that it imports. */
export async function bundleProgram(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    keepNames: true, // errors are told apart by the names of their classes
    legalComments: 'linked',
    logLevel: 'warning',
    banner: { js: REQUIRE },
    plugins: [englishOnly, forBrowsers],
  })
  chmodSync(outfile, 0o755)
}

/** A module has no `require`, and what was written for one (`yaml`, which the policy language reads) asks for parts of Node by it. */
const REQUIRE = `import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);`

/** zod's messages in forty languages are a third of the bundle; the agent's users read codes. */
const englishOnly: Plugin = {
  name: 'english-only',
  setup: (setup) => {
    setup.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, ({ path: file }) => ({
      contents: "export { default as en } from './en.js'",
      resolveDir: path.dirname(file),
    }))
  },
}

/** CycloneDX as made for browsers is one file; the one for Node asks for packages that may be absent, and for its own folder. */
const forBrowsers: Plugin = {
  name: 'for-browsers',
  setup: (setup) => {
    setup.onResolve({ filter: /^@cyclonedx\/cyclonedx-library$/ }, ({ path: name, importer }) => {
      const manifest = createRequire(importer).resolve(`${name}/package.json`)
      return { path: path.join(path.dirname(manifest), 'dist.web/lib.js') }
    })
    setup.onLoad({ filter: /cyclonedx-library[\\/]dist\.web[\\/]lib\.js$/ }, ({ path: file }) => ({
      contents: `const self = globalThis;${readFileSync(file, 'utf8')}`,
    }))
  },
}

if (import.meta.main) {
  const [, , file = fileURLToPath(new URL('../dist/agent.mjs', import.meta.url)), entry] = process.argv
  const outfile = path.resolve(file)
  await (entry === undefined ? bundleAgent(outfile) : bundleProgram(path.resolve(entry), outfile))
  console.log(`${outfile}: ${statSync(outfile).size} bytes`)
}
