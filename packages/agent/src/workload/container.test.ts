import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fromUtf8, utf8 } from '@vouchsafe/core'
import { ImageLayout, parseDigest, resolveImage } from '@vouchsafe/image'
import type { Launch } from '@vouchsafe/tpm/eventlog'
import { afterAll, describe, expect, test } from 'vitest'
import { SHELL_ARGS, buildShellImage } from '../testing/shell-image.ts'
import { Container, listContainers } from './container.ts'
import { type Handed, MemoryFile, layOut } from './handover.ts'
import { THIS_PLATFORM } from './image-keys.ts'
import { ownProcessName } from './own-process.ts'
import { prepareImage } from './prepare-image.ts'
import { findTools } from './tools.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsa-container-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const tools = findTools()
const limits = { memoryBytes: 64 * 1024 * 1024, processes: 16 }
let runs = 0

interface Ran {
  readonly status: number
  readonly result: string
}

/** Runs one script in runc, with secrets, and gives back what it wrote as its result (the last descriptor). */
async function runScript(
  script: string,
  options: {
    readonly secrets?: Readonly<Record<string, string>>
    readonly launch?: Partial<Launch>
    readonly image?: Parameters<typeof buildShellImage>[2]
    readonly whileRunning?: (container: Container) => Promise<void> | void
  } = {},
): Promise<Ran> {
  const at = path.join(directory, `r${++runs}`)
  const image = await buildShellImage(path.join(at, 'layout'), script, options.image)
  const launch: Launch = {
    agreement: `sha256:${'0'.repeat(64)}`,
    image,
    imageReference: image,
    args: SHELL_ARGS,
    env: {},
    debug: false,
    network: 'none',
    output: 'closed',
    restart: 'never',
    isolation: 'runc',
    capabilities: [],
    mounts: [],
    ...options.launch,
  }
  const bundle = path.join(at, 'bundle')
  const { signal } = new AbortController()
  const source = await ImageLayout.open(path.join(at, 'layout'))
  const resolved = await resolveImage(source, parseDigest(image), { platform: THIS_PLATFORM })
  const admitted = { image: resolved, source, [Symbol.dispose]: () => undefined }
  const user = await prepareImage(launch, admitted, { bundle, limits, signal, emit: () => undefined })
  const files: MemoryFile[] = []
  const newFile = () => {
    const file = new MemoryFile(ownProcessName(), user)
    files.push(file)
    return file
  }
  const inputs = Object.entries(options.secrets ?? {}).map(([name, value]): Handed => {
    const file = newFile()
    file.write(utf8(value))
    return { name, kind: 'secret', file }
  })
  const result = newFile()
  const fds = layOut(inputs, result, newFile)
  const stateRoot = path.join(at, 'runc')
  const container = await Container.start({
    tools,
    id: `vsa-test-${process.pid}-${runs}`,
    bundle,
    stateRoot,
    launch,
    fds,
  })
  try {
    await options.whileRunning?.(container)
    const status = await container.ended
    return { status, result: fromUtf8(result.read(65_536)) }
  } finally {
    await container.kill()
    await container.remove()
    expect(await listContainers(tools, stateRoot)).toEqual([])
    for (const file of files) file.close()
  }
}

describe('a workload is handed its secrets', () => {
  test('at the descriptors that the manifest at descriptor 3 names', async () => {
    const secrets = { 'clinic-a/key': 'secret of a', 'clinic-b/key': 'secret of b' }
    const { result } = await runScript('cat <&3 >&6; cat <&4 >&6; cat <&5 >&6', { secrets })
    const manifest = {
      version: 1,
      inputs: { 'clinic-a/key': { fd: 4, kind: 'secret' }, 'clinic-b/key': { fd: 5, kind: 'secret' } },
      result: { fd: 6 },
    }
    expect(result).toBe(`${JSON.stringify(manifest)}secret of asecret of b`)
  })

  test('DEF-15 and nowhere else: not in arguments or environment, and under no name on either side', async () => {
    const canary = `canary-${Math.random().toString(36).slice(2)}`
    let outside = ''
    const { result } = await runScript(
      'cat /proc/1/environ /proc/1/cmdline /proc/mounts >&5; ls /dev/shm /tmp >&5; sleep 0.3',
      {
        secrets: { 'clinic-a/key': canary },
        whileRunning: () => {
          outside = globSync('/proc/[0-9]*/{cmdline,environ}').map(read).join('')
          expect(globSync(`/dev/shm/${ownProcessName()}-*`)).toEqual([])
        },
      },
    )
    expect(result).not.toContain(canary)
    expect(outside).not.toContain(canary)
    expect(result).toContain('/bin/sh')
  })

  test('as a user who is not root, too', async () => {
    const { result } = await runScript('cat /proc/self/status >&5; cat <&4 >&5; cat /proc/self/fd/4 >&5', {
      secrets: { 'clinic-a/key': ' given ' },
      image: { user: 'worker:staff' },
    })
    expect(result).toMatch(/Uid:\t1234\t1234\t1234\t1234\n/)
    expect(result).toMatch(/Gid:\t50\t50\t50\t50\n/)
    expect(result).toMatch(/ given {2}given $/)
  })
})

describe('a workload is given no more than was measured', () => {
  const status = async (launch: Partial<Launch> = {}) =>
    (await runScript('cat /proc/self/status >&4', { launch })).result

  test('H14 no capabilities, no new privileges, a system call filter', async () => {
    const said = await status()
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(said).toContain(`${set}:\t0000000000000000`)
    expect(said).toContain('NoNewPrivs:\t1')
    expect(said).toContain('Seccomp:\t2')
  })

  test('H17 CS-19 a debug launch is one without the filter, and nothing more', async () => {
    const said = await status({ debug: true })
    expect(said).toContain('Seccomp:\t0')
    expect(said).toContain('CapBnd:\t0000000000000000')
  })

  test('CS-20 no network but its own loopback, which is down', async () => {
    const { result } = await runScript('cat /proc/net/dev /proc/net/route >&4')
    expect(result.split('\n').filter((line) => line.includes(':'))).toEqual([expect.stringMatching(/^ *lo:/)])
  })

  test('H22 a root that cannot be written, and nothing of the machine mounted', async () => {
    const { result } = await runScript('echo x >/x || echo read-only >&4; cat /proc/mounts >&4')
    expect(result).toContain('read-only')
    const types = result
      .split('\n')
      .filter((line) => line.startsWith('/'))
      .map((line) => line.split(' ')[1])
    expect(types).toEqual(['/']) // the one mount with a device is its own image
  })

  test('and cannot mount or make namespaces', async () => {
    const { result } = await runScript('mount -t tmpfs x /tmp 2>&4 || echo "status $?" >&4')
    expect(result).toMatch(/status [1-9]/)
  })

  test('as many processes and as much memory as its limits say', async () => {
    const { status: code } = await runScript('i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; wait')
    expect(code).not.toBe(0)
    const hungry = await runScript(
      'cat </dev/zero >/dev/shm/fill; echo full >&4; X=; while :; do X="$X$X-----------------"; done',
    )
    expect(hungry.status).not.toBe(0)
  })

  test('the image’s variables, and those of the launch over them', async () => {
    const { result } = await runScript('echo "$A $B $C" >&4', {
      image: { env: { A: 'image', B: 'image' } },
      launch: { env: { B: 'launch', C: 'launch' } },
    })
    expect(result).toBe('image launch launch\n')
  })
})

test('H14 runs exactly the measured arguments', async () => {
  const launch = { args: ['/bin/sh', '-c', 'echo "$0 $*" >&4', 'a  b', '$(c)'] }
  expect((await runScript('exit 9', { launch })).result).toBe('a  b $(c)\n')
})

test('a workload that does not start says why', async () => {
  await expect(runScript('', { launch: { args: ['/no/such/program'] } })).rejects.toMatchObject({
    code: 'workload.failed',
    message: expect.stringContaining('/no/such/program'),
  })
})

test('killing a workload kills everything that it started', async () => {
  const { status } = await runScript('sleep 4713 & sleep 4713 & wait', {
    whileRunning: async (container) => {
      await expect
        .poll(() => globSync('/proc/[0-9]*/cmdline').filter((f) => read(f).includes('4713')).length)
        .toBeGreaterThan(1)
      await container.kill()
      expect(globSync('/proc/[0-9]*/cmdline').filter((f) => read(f).includes('4713'))).toEqual([])
    },
  })
  expect(status).not.toBe(0)
})

/** Processes come and go while their files are listed. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
