import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { bundleAgent } from '../../packages/agent/bin/bundle.ts'
import { DIRECTORY, type Member, PROGRAM, writeCpio } from './cpio.ts'

/** What the guest's devices need; what these need in turn is read from the modules. */
const MODULES = ['virtio_pci', 'virtio_blk', 'virtio_net']

/**
 * The guest's whole system, compressed: Node as it runs here, the agent, and what starts workloads, each with the
 * libraries that it is linked with. The agent is the bundle that guests get, not its sources.
 *
 * @param modules - The kernel's `/lib/modules/VERSION`.
 */
export async function makeInitramfs(modules: string): Promise<Uint8Array> {
  const files = new Map<string, Uint8Array>([
    ['init', here('init.sh')],
    ['agent/guest.sh', here('guest.sh')],
    ['agent/agent.mjs', await bundledAgent()],
    ['etc/passwd', Buffer.from('root:x:0:0::/:/bin/sh\n')],
  ])
  const programs = { 'bin/busybox': '/bin/busybox', 'usr/bin/node': process.execPath, ...workloadTools() }
  for (const [to, from] of Object.entries(programs)) {
    files.set(to, readFileSync(from))
    for (const library of librariesOf(from)) files.set(library.slice(1), readFileSync(library))
  }
  const order = withNeeded(MODULES, modules)
  for (const name of order) files.set(`modules/${name}.ko`, readFileSync(moduleFile(modules, name)))
  files.set('modules/order', Buffer.from(order.map((name) => `${name}.ko\n`).join('')))
  const archive = writeCpio([
    ...directoriesOf([...files.keys()]),
    ...Array.from(files, ([file, content]) => ({ path: file, mode: PROGRAM, content })),
  ])
  return zstdCompressSync(archive, { params: { [constants.ZSTD_c_compressionLevel]: 6 } })
}

function here(file: string): Uint8Array {
  return readFileSync(new URL(file, import.meta.url))
}

async function bundledAgent(): Promise<Uint8Array> {
  const directory = mkdtempSync(path.join(tmpdir(), 'vm-agent-'))
  try {
    const file = path.join(directory, 'agent.mjs')
    await bundleAgent(file)
    return readFileSync(file)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Where the agent looks for them. */
function workloadTools(): Readonly<Record<string, string>> {
  const found = execFileSync('which', ['runc', 'setpriv', 'unshare'], { encoding: 'utf8' })
  const files = found.trim().split('\n')
  return Object.fromEntries(files.map((file) => [`usr/bin/${path.basename(file)}`, file]))
}

/** Absolute paths, the loader among them, under the names by which they are looked for. */
function librariesOf(program: string): readonly string[] {
  if (program === '/bin/busybox') return [] // linked statically
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' })
  return Array.from(listed.matchAll(/(\/\S+) \(0x/g), ([, library = '']) => library)
}

/** Modules in an order in which they can be loaded. */
function withNeeded(names: readonly string[], modules: string): readonly string[] {
  const order = new Set<string>()
  const add = (name: string) => {
    for (const needed of neededBy(readFileSync(moduleFile(modules, name)))) add(needed)
    order.add(name)
  }
  names.forEach(add)
  return [...order]
}

/** A module says what it needs in a text of its own: `depends=a,b`. */
function neededBy(module: Buffer): readonly string[] {
  const [, list = ''] = /\0depends=([^\0]*)\0/.exec(module.toString('latin1')) ?? []
  return list.split(',').filter((name) => name !== '')
}

function moduleFile(modules: string, name: string): string {
  const [file] = globSync(`**/${name}.ko`, { cwd: modules })
  if (file === undefined) throw new Error(`${modules}: no module ${name}.ko`)
  return realpathSync(path.join(modules, file))
}

function directoriesOf(files: readonly string[]): readonly Member[] {
  const all = new Set(
    files.flatMap((file) =>
      file
        .split('/')
        .slice(0, -1)
        .map((_, i, parts) => parts.slice(0, i + 1).join('/')),
    ),
  )
  return [...all].toSorted().map((directory) => ({ path: directory, mode: DIRECTORY, content: new Uint8Array() }))
}
