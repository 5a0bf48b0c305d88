import { mkdtemp, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { listContainers, removeContainer } from './container.ts'
import { isLeftover, ownProcessName } from './own-process.ts'
import type { Tools } from './tools.ts'

const MEMORY = '/dev/shm'

/** A directory for one run: the unpacked image, the bundle, runc's state. Holds no secret. */
export interface Workspace {
  readonly directory: string
  readonly bundle: string
  readonly stateRoot: string
  remove(): Promise<void>
}

/** @param parent - Where workspaces are made: on a disk that takes an unpacked image. */
export async function newWorkspace(parent: string): Promise<Workspace> {
  const directory = await mkdtemp(path.join(parent, `${ownProcessName()}-`))
  return {
    directory,
    bundle: path.join(directory, 'bundle'),
    stateRoot: stateRootOf(directory),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

/**
 * Removes what an agent that was killed left behind; nothing else does (decision 23). Only what is named for a process
 * that no longer exists.
 *
 * @returns Names of the workspaces that were removed.
 */
export async function removeLeftovers(parent: string, tools: Tools): Promise<readonly string[]> {
  for (const name of (await readdir(MEMORY)).filter(isLeftover)) await rm(path.join(MEMORY, name), { force: true })
  const workspaces = (await readdir(parent)).filter(isLeftover)
  for (const name of workspaces) {
    const directory = path.join(parent, name)
    for (const id of await listContainers(tools, stateRootOf(directory)))
      await removeContainer(tools, stateRootOf(directory), id)
    await rm(directory, { recursive: true, force: true })
  }
  return workspaces
}

function stateRootOf(directory: string): string {
  return path.join(directory, 'runc')
}
