import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { Command } from 'commander'
import pc from 'picocolors'
import { EXIT } from '../output.ts'
import { type Done, outputOf, verb } from './options.ts'
import { table } from '../table.ts'

interface Check {
  readonly what: string
  readonly ok: boolean
  readonly found: string
  /** What to do; empty when it is well. */
  readonly todo: string
  /** Needed for the demo; the rest only widens what can be done. */
  readonly needed: boolean
}

/** `vouchsafe doctor`: what this machine has and lacks. */
export function doctorCommand(done: Done): Command {
  return verb('doctor', 'what this machine has and lacks').action((options: { json?: boolean }) => {
    const checks = examine()
    const ok = checks.every((c) => c.ok || !c.needed)
    const rows = checks.map((c) => [
      c.ok ? pc.green('ok  ') : c.needed ? pc.red('lack') : pc.yellow('none'),
      c.what,
      c.found,
      c.todo,
    ])
    outputOf(options).answer({ ok, checks }, table(rows))
    done(ok ? EXIT.yes : EXIT.no)
  })
}

function examine(): readonly Check[] {
  const debian = (name: string) => `as root on Debian: apt-get install -y --no-install-recommends ${name}`
  const root = process.getuid?.() === 0
  return [
    { what: 'node', ok: true, found: process.version, todo: '', needed: true },
    program('swtpm', ['--version'], debian('swtpm')),
    program('swtpm_ioctl', ['--version'], debian('swtpm-tools')),
    program('runc', ['--version'], debian('runc')),
    program('setpriv', ['--version'], debian('util-linux')),
    {
      what: 'root',
      ok: root,
      found: root ? 'yes: cgroup limits apply' : 'no: rootless runc, without cgroup limits',
      todo: '',
      needed: false,
    },
    device('/dev/tpmrm0', 'a TPM of this machine'),
    device('/dev/shm', 'memory-backed files for secrets'),
    {
      what: 'kernel boot log',
      ...presence('/sys/kernel/security/tpm0/binary_bios_measurements'),
      todo: '',
      needed: false,
    },
    { what: 'configfs-tsm', ...presence('/sys/kernel/config/tsm/report'), todo: '', needed: false },
  ]
}

function program(name: string, args: readonly string[], todo: string): Check {
  try {
    // Debian keeps runc where an ordinary user's PATH does not look
    const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
    const [line = ''] = execFileSync(name, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: path },
    }).split('\n')
    return { what: name, ok: true, found: line.trim() || 'present', todo: '', needed: true }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      return { what: name, ok: true, found: 'present', todo: '', needed: true }
    return { what: name, ok: false, found: 'not found', todo, needed: true }
  }
}

function device(file: string, what: string): Check {
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
    return { what, ok: true, found: file, todo: '', needed: file === '/dev/shm' }
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code === 'ENOENT' ? `no ${file}` : `${file} may not be opened`
    return {
      what,
      ok: false,
      found,
      todo: found.startsWith('no') ? '' : 'join the group that owns it',
      needed: file === '/dev/shm',
    }
  }
}

function presence(file: string): { readonly ok: boolean; readonly found: string } {
  return existsSync(file) ? { ok: true, found: file } : { ok: false, found: `no ${file}` }
}
