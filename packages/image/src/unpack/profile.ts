/**
 * What happens to the parts of an image that can give power to who runs it (H09). `refuse` ends the unpacking,
 * `drop` leaves the thing out and says so in the report.
 */
export interface UnpackProfile {
  readonly devices: 'refuse' | 'drop' | 'create'
  readonly fifos: 'refuse' | 'drop' | 'create'
  /** The setuid and setgid bits of files; a directory's setgid bit only passes on a group, and stays. */
  readonly setuid: 'refuse' | 'drop' | 'keep'
  /** Extended attributes, file capabilities among them. */
  readonly xattrs: 'refuse' | 'drop' | 'keep'
}

/** For workloads of other people: what runs from it gains nothing over the user it was started as. */
export const HARDENED: UnpackProfile = { devices: 'refuse', fifos: 'refuse', setuid: 'drop', xattrs: 'drop' }

/** Everything as the image says. Needs root for devices, and `setfattr` where an image has extended attributes. */
export const FAITHFUL: UnpackProfile = { devices: 'create', fifos: 'create', setuid: 'keep', xattrs: 'keep' }

export const SETUID_BITS = 0o6000
