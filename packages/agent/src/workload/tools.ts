import { accessSync, constants } from 'node:fs'
import { AgentError } from '../errors.ts'

/** The programs that start a workload, by absolute path: nothing is looked up in a PATH that somebody else may set. */
export interface Tools {
  readonly runc: string
  readonly setpriv: string
  readonly unshare: string
}

const DIRECTORIES = ['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin', '/usr/local/sbin']

/** @throws {AgentError} `workload.tool-missing`, naming the packages to install */
export function findTools(): Tools {
  return { runc: find('runc', 'runc'), setpriv: find('setpriv', 'util-linux'), unshare: find('unshare', 'util-linux') }
}

function find(name: string, packageName: string): string {
  for (const directory of DIRECTORIES) {
    const file = `${directory}/${name}`
    if (isExecutable(file)) return file
  }
  throw new AgentError('workload.tool-missing', `${name} is not installed; on Debian: apt-get install ${packageName}`)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // looked for in the next directory; missing everywhere is an error above
  }
}
