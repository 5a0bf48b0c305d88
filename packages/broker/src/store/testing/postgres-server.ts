import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'

const ROOT = '/usr/lib/postgresql'
const bin = existsSync(ROOT)
  ? readdirSync(ROOT)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => path.join(ROOT, version, 'bin'))
      .find((dir) => existsSync(path.join(dir, 'initdb')))
  : undefined

/** False where PostgreSQL is installed; else says once, loudly, what is not tested. */
export function missingPostgres(): boolean {
  if (bin === undefined)
    console.error(`SKIPPED: no PostgreSQL under ${ROOT}; install postgresql to test the store on it`)
  return bin === undefined
}

/** A PostgreSQL of this test's own: a fresh cluster on a unix socket in a temporary directory. */
export class PostgresServer {
  readonly directory: string
  #databases = 0

  private constructor(directory: string) {
    this.directory = directory
  }

  static start(settings: readonly string[] = []): PostgresServer {
    const directory = mkdtempSync(path.join(tmpdir(), 'vouchsafe-pg-'))
    const server = new PostgresServer(directory)
    const { uid, gid } = server.#account()
    if (uid !== undefined && gid !== undefined) chownSync(directory, uid, gid)
    server.#run('initdb', [
      '-D',
      `${directory}/data`,
      '-A',
      'trust',
      '-U',
      'postgres',
      '--no-sync',
      '-E',
      'UTF8',
      '--locale=C',
    ])
    server.startUp(settings)
    return server
  }

  startUp(settings: readonly string[] = []): void {
    const options = [
      `-k ${this.directory}`,
      "-c listen_addresses=''",
      '-c max_connections=60',
      // after a crash: one call for the file system, not one for each of thousands of files
      '-c recovery_init_sync_method=syncfs',
      ...settings.map((s) => `-c ${s}`),
    ]
    const log = path.join(this.directory, 'log')
    this.#run('pg_ctl', ['-D', `${this.directory}/data`, '-l', log, '-w', '-o', options.join(' '), 'start'])
  }

  /** At once, as if the power failed. */
  crash(): void {
    this.#run('pg_ctl', ['-D', `${this.directory}/data`, '-m', 'immediate', '-w', 'stop'])
  }

  stop(): void {
    this.crash()
    rmSync(this.directory, { recursive: true, force: true })
  }

  connection(database: string): { host: string; user: string; database: string } {
    return { host: this.directory, user: 'postgres', database }
  }

  /** The same as an address. */
  url(database: string): string {
    return `postgres://postgres@/${database}?host=${encodeURIComponent(this.directory)}`
  }

  /** A new database, empty or a copy. @returns Its name. */
  async create(template = 'template0'): Promise<string> {
    const name = `t${++this.#databases}`
    await this.sql('postgres', `create database ${name} template ${template}`)
    return name
  }

  /** Statements past the store: what a storage administrator might do. */
  async sql(database: string, ...statements: readonly string[]): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client(this.connection(database))
    await client.connect()
    try {
      let rows: Record<string, unknown>[] = []
      for (const statement of statements) rows = (await client.query(statement)).rows as Record<string, unknown>[]
      return rows
    } finally {
      await client.end()
    }
  }

  #run(command: string, args: readonly string[]): void {
    // output to files, not pipes: the server would inherit them and hold them open
    const { status, error }: SpawnSyncReturns<Buffer> = spawnSync(path.join(bin ?? '', command), args, {
      ...this.#account(),
      cwd: this.directory,
      stdio: 'ignore',
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    })
    if (status !== 0) throw new Error(`${command} ended with ${status}: ${error?.message ?? this.directory}`)
  }

  /** PostgreSQL refuses to run as root. */
  #account(): { uid?: number; gid?: number } {
    if (process.getuid?.() !== 0) return {}
    const id = (flag: string): number => Number(spawnSync('id', [flag, 'postgres']).stdout.toString().trim())
    return { uid: id('-u'), gid: id('-g') }
  }
}
