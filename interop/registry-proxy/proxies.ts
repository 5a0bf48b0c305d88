import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { canConnect, freePort } from '../image-registry/peers.ts'

/** A stock proxy that wants the user `me` with a password, and lets through to one port. */
export interface StockProxy {
  readonly host: string
  /** What it wrote of what it was asked. */
  log(): string
  stop(): Promise<void>
}

/** tinyproxy takes letters and digits only. */
export const PASSWORD = 'secret42'
export const USER = `me:${PASSWORD}`

/** Debian's tinyproxy. */
export async function tinyproxy(directory: string, connectPort: string): Promise<StockProxy> {
  mkdirSync(directory, { recursive: true })
  const [port, log] = [await freePort(), path.join(directory, 'log')]
  const config = path.join(directory, 'tinyproxy.conf')
  writeFileSync(
    config,
    `Port ${port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\nLogFile "${log}"\nLogLevel Connect\n` +
      `ConnectPort ${connectPort}\nBasicAuth me ${PASSWORD}\n`,
  )
  return started(spawn('tinyproxy', ['-d', '-c', config], { stdio: 'ignore' }), port, log)
}

/** Debian's squid, which looks passwords up by a program of its own. */
export async function squid(directory: string, connectPort: string): Promise<StockProxy> {
  mkdirSync(directory, { recursive: true })
  for (const each of [directory, path.dirname(directory)]) chmodSync(each, 0o777) // squid runs as a user of its own
  const [port, log] = [await freePort(), path.join(directory, 'access.log')]
  const [config, passwords] = [path.join(directory, 'squid.conf'), path.join(directory, 'answer')]
  // the helper's protocol is a line each way
  writeFileSync(
    passwords,
    `#!/bin/sh\nwhile read user password; do [ "$user $password" = 'me ${PASSWORD}' ] && echo OK || echo ERR; done\n`,
    { mode: 0o755 },
  )
  writeFileSync(
    config,
    `http_port 127.0.0.1:${port}\npid_filename ${directory}/pid\naccess_log stdio:${log}\ncache_log ${directory}/cache.log\n` +
      `cache deny all\nshutdown_lifetime 0 seconds\nauth_param basic program ${passwords}\nauth_param basic realm interop\n` +
      `acl known proxy_auth REQUIRED\nacl there port ${connectPort}\nhttp_access deny !there\nhttp_access allow known\nhttp_access deny all\n`,
  )
  return started(spawn('squid', ['-N', '-n', `vouchsafe${port}`, '-f', config], { stdio: 'ignore' }), port, log)
}

async function started(child: ChildProcess, port: number, log: string): Promise<StockProxy> {
  let missing = false
  child.once('error', () => (missing = true))
  for (let attempt = 0; attempt < 200 && !missing && child.exitCode === null; attempt++) {
    if (await canConnect(port))
      return {
        host: `127.0.0.1:${port}`,
        log: () => (existsSync(log) ? readFileSync(log, 'utf8') : ''),
        stop: async () => {
          const gone = new Promise((resolve) => child.once('exit', resolve))
          child.kill('SIGTERM') // squid takes its shared memory with it
          await gone
        },
      }
    await delay(50)
  }
  throw new Error(`${child.spawnfile} did not start: is Debian's package of that name installed?`)
}
