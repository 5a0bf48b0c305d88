import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'

/** Debian packages by a file that each brings. */
const PACKAGES = {
  '/usr/bin/qemu-system-x86_64': 'qemu-system-x86',
  '/usr/share/OVMF/OVMF_CODE_4M.fd': 'ovmf',
  '/usr/bin/swtpm': 'swtpm',
  '/usr/bin/swtpm_setup': 'swtpm-tools',
  '/bin/busybox': 'busybox-static',
  '/usr/sbin/runc': 'runc',
} as const
const KERNEL_PACKAGE = 'linux-image-cloud-amd64'

/**
 * Installs what is missing, where that may be done without asking: as root on Debian.
 *
 * @throws Naming the command to run, elsewhere.
 */
export function installMissing(): void {
  const missing = Object.entries(PACKAGES).flatMap(([file, name]) => (existsSync(file) ? [] : [name]))
  if (missing.length === 0) return
  const command = `apt-get install --yes --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version'))
    throw new Error(`missing: ${missing.join(', ')}; on Debian, as root: ${command}`)
  execFileSync('apt-get', ['update'], { stdio: 'ignore' })
  execFileSync('sh', ['-c', command], { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
}

export interface Kernel {
  readonly image: string
  /** As `/lib/modules/VERSION`. */
  readonly modules: string
}

/** Debian's kernel for virtual machines, unpacked beside other temporary files and kept there; nothing is installed. */
export function debianKernel(): Kernel {
  const name = kernelPackage()
  const cache = path.join(tmpdir(), `vouchsafe-vm-${userInfo().uid}`)
  const kept = path.join(cache, name)
  if (!existsSync(kept)) {
    mkdirSync(cache, { recursive: true, mode: 0o700 })
    const directory = mkdtempSync(path.join(cache, 'new-'))
    execFileSync('apt-get', ['download', name], { cwd: directory, stdio: 'ignore' })
    const [file = ''] = globSync('*.deb', { cwd: directory })
    execFileSync('dpkg-deb', ['--extract', path.join(directory, file), path.join(directory, 'root')])
    renameSync(path.join(directory, 'root'), kept)
    rmSync(directory, { recursive: true, force: true })
  }
  const [image, modules] = [globSync(`${kept}/boot/vmlinuz-*`)[0], globSync(`${kept}/lib/modules/*`)[0]]
  if (image === undefined || modules === undefined) throw new Error(`${kept}: no kernel in it`)
  return { image, modules }
}

/** The package that the one without a version stands for at present. */
function kernelPackage(): string {
  const listed = execFileSync('apt-cache', ['depends', '--important', KERNEL_PACKAGE], { encoding: 'utf8' })
  const name = /Depends: (linux-image-\S+)/.exec(listed)?.[1]
  if (name === undefined) throw new Error(`apt knows no ${KERNEL_PACKAGE}; as root: apt-get update`)
  return name
}
