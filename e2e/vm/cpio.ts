/** One member of an archive. Directories come before what they hold. */
export interface Member {
  /** Without a leading slash. */
  readonly path: string
  /** File type and permissions, as `stat` gives them. */
  readonly mode: number
  readonly content: Uint8Array
}

export const DIRECTORY = 0o040755
export const PROGRAM = 0o100755

/**
 * An archive as the Linux kernel unpacks it at boot. The same members give the same bytes: no times, no owners, inode
 * numbers in order. So the same parts give the same register 9.
 *
 * @source Linux, Documentation/driver-api/early-userspace/buffer-format.rst: `newc`
 */
export function writeCpio(members: readonly Member[]): Uint8Array {
  const pieces = [...members, { path: 'TRAILER!!!', mode: 0, content: new Uint8Array() }].flatMap((member, i) => [
    header(member, i + 1),
    member.content,
    new Uint8Array(-member.content.length & 3),
  ])
  return Buffer.concat(pieces)
}

/** Header and name, padded to four bytes together. */
function header({ path, mode, content }: Member, inode: number): Uint8Array {
  const name = Buffer.from(`${path}\0`)
  const links = (mode & 0o170000) === 0o040000 ? 2 : 1
  // inode, mode, owner, group, links, time, size, four device numbers, name, checksum
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const text = `070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}`
  return Buffer.concat([Buffer.from(text), name, new Uint8Array(-(text.length + name.length) & 3)])
}
