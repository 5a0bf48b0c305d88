import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(path.join(tmpdir(), 'vouchsafe-checkouts-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const PROGRAM = `
import { buildWorkloadImage } from './packages/cli/src/demo/workload-image.ts'
import { buildWorkload } from './examples/two-clinics/workload-image.ts'
import { buildUsleepImage } from './examples/sleep-quality/usleep/build-image.ts'
import { buildUwearImage } from './examples/sleep-quality/uwear/build-image.ts'
console.log(JSON.stringify({
  demo: await buildWorkloadImage('out/demo'),
  'two-clinics': await buildWorkload('out/two-clinics'),
  usleep: (await buildUsleepImage({ port: 8081 }, 'out/usleep')).digest,
  uwear: (await buildUwearImage('uwear.json', 'out/uwear')).digest,
}))
`

/** The sources at another place, with packages of others shared and our own from there. */
function checkout(name: string): string {
  const directory = path.join(scratch, name)
  const filter = (from: string) => !/(?:^|\/)(?:node_modules|dist|out)$|\.test\.ts$/.test(from)
  for (const part of ['packages', 'examples', 'package.json', 'tsconfig.json', 'tsconfig.base.json'])
    cpSync(path.join(root, part), path.join(directory, part), { recursive: true, filter })
  const modules = path.join(directory, 'node_modules')
  mkdirSync(path.join(modules, '@vouchsafe'), { recursive: true })
  for (const entry of readdirSync(path.join(root, 'node_modules')))
    if (entry !== '@vouchsafe' && entry !== 'vouchsafe')
      symlinkSync(path.join(root, 'node_modules', entry), path.join(modules, entry))
  for (const entry of readdirSync(path.join(directory, 'packages')))
    symlinkSync(path.join(directory, 'packages', entry), path.join(modules, '@vouchsafe', entry))
  symlinkSync(path.join(directory, 'packages/cli'), path.join(modules, 'vouchsafe'))
  writeFileSync(path.join(directory, 'program.ts'), PROGRAM)
  return directory
}

test(
  'CS-03 H23 the images of demo and examples have the same digest from two checkouts at two paths and two times',
  { timeout: 120_000 },
  () => {
    const build = (directory: string, mask: string, env: Record<string, string>) => {
      const command = `umask ${mask}; exec "$0" program.ts`
      const options = { cwd: directory, env: { ...process.env, ...env }, encoding: 'utf8' as const }
      return JSON.parse(execFileSync('sh', ['-c', command, process.execPath], options)) as Record<string, string>
    }
    const [one, two] = [checkout('one'), checkout('another')]
    // another day, another umask, another place on earth
    execFileSync('find', [two, '-type', 'f', '-exec', 'touch', '-h', '-d', '2001-02-03', '{}', '+'])
    execFileSync('chmod', ['-R', 'go-rwx', two])
    const first = build(one, '022', { TZ: 'UTC', LANG: 'C' })
    const second = build(two, '077', { TZ: 'Asia/Tokyo', LANG: 'en_US.UTF-8', HOME: two, SOURCE_DATE_EPOCH: '1' })
    expect(Object.keys(first)).toEqual(['demo', 'two-clinics', 'usleep', 'uwear'])
    expect(second).toEqual(first)
  },
)
