import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import {
  Secret,
  VouchsafeError,
  nameSchema,
  parseSchema,
  parseStrictJson,
  resourcePathSchema,
  utf8,
} from '@vouchsafe/core'
import { LAUNCH_NETWORKS, LAUNCH_OUTPUTS } from '@vouchsafe/tpm/eventlog'
import { z } from 'zod'
import { AgentError } from './errors.ts'
import { type ImageOrigin, pullSchema, registryOrigin } from './workload/image-origin.ts'

const MAX_CONFIG_BYTES = 256 * 1024
const MAX_TICKETS_BYTES = 64 * 1024
const file = z.string().min(1).max(4096)
/** `owner/resource/path`: the name under which a workload finds it. */
const inputName = z.string().refine((text) => {
  const [owner, ...rest] = text.split('/')
  return nameSchema.safeParse(owner).success && resourcePathSchema.safeParse(rest.join('/')).success
}, 'wanted owner/resource/path')

const overridesSchema = z.strictObject({
  image: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .exactOptional(),
  args: z.array(z.string().max(4096)).min(1).max(128).exactOptional(),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(4096)).exactOptional(),
  debug: z.boolean().exactOptional(),
  network: z.enum(LAUNCH_NETWORKS).exactOptional(),
  output: z.enum(LAUNCH_OUTPUTS).exactOptional(),
})

/** The agent's configuration file. Relative paths are relative to it. */
export const configSchema = z.strictObject({
  /**
   * Who speaks for this machine: its TPM, its CPU (SEV-SNP, TDX) through the kernel, or the vTPM of its cloud, with the CPU
   * where that is a confidential VM.
   */
  evidence: z.enum(['tpm', 'cpu', 'azure', 'gce']).default('tpm'),
  /** Where the kernel offers reports of the CPU. Default: configfs-tsm. Read only where the CPU speaks. */
  tsm: file.default('/sys/kernel/config/tsm/report'),
  /** The boot log of a TD, as the kernel shows it. Sent where it is there. */
  ccel: file.default('/sys/firmware/acpi/tables/data/CCEL'),
  /** Azure on Intel: the metadata service that makes a quote of the CPU's report. */
  tdQuoteService: z
    .url({ protocol: /^https?$/ })
    .max(512)
    .default('http://169.254.169.254/acc/tdquote'),
  /** The TPM, as tpm2-tools name it. Default: this machine's. */
  tpm: z.string().min(1).max(512).default('device'),
  /** The boot log. Default: where Linux shows it. */
  bootLog: file.default('/sys/kernel/security/tpm0/binary_bios_measurements'),
  /** What the kernel measured since the boot. Default: where Linux shows it. Read only where register 10 is not zero. */
  imaLog: file.default('/sys/kernel/security/ima/binary_runtime_measurements'),
  /** The agreement's file, byte for byte as the owners approved it. */
  agreement: file,
  /** OCI image layout directory that holds the workload. Either this or `pull`. */
  imageLayout: file.exactOptional(),
  /** The registry that the workload is pulled from, and by whose word. */
  pull: pullSchema.exactOptional(),
  /** Encrypted data files, by the resource that is their key: `owner/resource/path`. */
  data: z.record(inputName, file).default({}),
  /** Directory for sealed results, one file a recipient. Made when it is not there. */
  results: file,
  /** Directory for what the agent keeps between runs: checkpoints, no secret. Made when it is not there. */
  state: file,
  /** Directory for unpacked images. Default: the system's for temporary files. */
  workspace: file.exactOptional(),
  /** What the operator wants launched otherwise than agreed. Measured as launched; brokers refuse what was not agreed. */
  overrides: overridesSchema.default({}),
  limits: z
    .strictObject({
      memoryBytes: z
        .number()
        .int()
        .min(16 * 1024 * 1024)
        .default(2 * 1024 * 1024 * 1024),
      processes: z.number().int().min(1).max(65_536).default(256),
    })
    .default({ memoryBytes: 2 * 1024 * 1024 * 1024, processes: 256 }),
  /** How long to wait for owners to approve. */
  waitSeconds: z.number().int().min(0).max(604_800).default(3600),
  /** How long one call to a broker may take. */
  timeoutSeconds: z.number().int().min(1).max(600).default(30),
})

export type Config = Readonly<Omit<z.output<typeof configSchema>, 'workspace' | 'imageLayout' | 'pull'>> & {
  readonly workspace: string
  readonly image: ImageOrigin
}

/**
 * Reads a configuration file once; nothing else reads configuration or environment.
 *
 * @throws {AgentError} `config.malformed`, also for a member that is not known
 */
export async function readConfig(configFile: string): Promise<Config> {
  const { imageLayout, pull, ...parsed } = parse(configFile, configSchema, await read(configFile, MAX_CONFIG_BYTES))
  const beside = (name: string) => path.resolve(path.dirname(configFile), name)
  return Object.freeze({
    ...parsed,
    tsm: beside(parsed.tsm),
    ccel: beside(parsed.ccel),
    bootLog: beside(parsed.bootLog),
    imaLog: beside(parsed.imaLog),
    agreement: beside(parsed.agreement),
    image: originOf(imageLayout, pull, configFile, beside),
    data: Object.fromEntries(Object.entries(parsed.data).map(([name, value]) => [name, beside(value)])),
    results: beside(parsed.results),
    state: beside(parsed.state),
    workspace: beside(parsed.workspace ?? tmpdir()),
  })
}

function originOf(
  imageLayout: string | undefined,
  pull: z.output<typeof pullSchema> | undefined,
  configFile: string,
  beside: (name: string) => string,
): ImageOrigin {
  if (imageLayout !== undefined && pull === undefined) return { kind: 'layout', directory: beside(imageLayout) }
  if (pull !== undefined && imageLayout === undefined) return registryOrigin(pull, beside)
  throw new AgentError('config.malformed', `${configFile}: exactly one of imageLayout and pull is wanted`)
}

const ticketsSchema = z.record(nameSchema, z.string().min(1).max(256))

/**
 * Reads enrolment tickets: JSON with one ticket an owner. They are secrets, so they come by file or standard input (`-`),
 * never by argument or environment.
 */
export async function readTickets(ticketsFile: string): Promise<ReadonlyMap<string, Secret>> {
  const tickets = parse('tickets', ticketsSchema, await read(ticketsFile, MAX_TICKETS_BYTES))
  return new Map(Object.entries(tickets).map(([owner, ticket]) => [owner, new Secret(utf8(ticket))]))
}

/** @param name - A file, or `-` for standard input. */
export async function read(name: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const bytes = name === '-' ? await buffer(process.stdin) : await readFile(name)
    if (bytes.length > maxBytes)
      throw new AgentError('config.malformed', `${name}: ${bytes.length} bytes, at most ${maxBytes}`)
    return new Uint8Array(bytes)
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    throw new AgentError('config.malformed', `${name}: ${(cause as Error).message}`, { cause })
  }
}

function parse<T extends z.ZodType>(what: string, schema: T, bytes: Uint8Array): z.output<T> {
  try {
    return parseSchema(schema, parseStrictJson(bytes, { maxBytes: bytes.length }), what)
  } catch (cause) {
    if (cause instanceof VouchsafeError) throw new AgentError('config.malformed', cause.message, { cause })
    throw cause
  }
}
