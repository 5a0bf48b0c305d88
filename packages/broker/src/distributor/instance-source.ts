import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type InstanceFacts, VouchsafeError, instanceFactsSchema, parseSchema, parseStrictJson } from '@vouchsafe/core'
import { z } from 'zod'
import type { DistributorConfig } from './config.ts'
import type { InstanceAddress, InstanceSource } from './context.ts'
import { factsOfGce, recordedInstanceSchema } from './gce/document.ts'
import { liveSource } from './gce/live-source.ts'

const MAX_FILE_BYTES = 8 * 1024 * 1024
const staticSchema = z.strictObject({ instances: z.array(instanceFactsSchema).max(10_000) })

/** Opens the source that the configuration names. Files are read anew for every decision, so that an edit counts at once. */
export function openInstanceSource(config: DistributorConfig['instances']): InstanceSource {
  switch (config.kind) {
    case 'static':
      return { read: async (address) => fromStatic(config.file, address) }
    case 'recorded':
      return { read: async (address, at) => fromRecording(config.directory, address, at) }
    case 'live':
      return liveSource(config)
  }
}

function fromStatic(file: string, { instance }: InstanceAddress): InstanceFacts {
  const { instances } = parseSchema(staticSchema, readJson(file), file)
  const facts = instances.find((i) => i.instance === instance)
  if (facts === undefined) throw unavailable(`${file} has no instance ${instance}`)
  if (facts.source !== 'static') throw unavailable(`${file}: instance ${instance} calls itself ${facts.source}`)
  return facts
}

function fromRecording(directory: string, { instance }: InstanceAddress, at: Date): InstanceFacts {
  if (!/^[a-z0-9-]{1,64}$/.test(instance)) throw unavailable('the instance id cannot be a file’s name')
  const file = path.join(directory, `${instance}.json`)
  const facts = factsOfGce(parseSchema(recordedInstanceSchema, readJson(file), file), 'recorded', at)
  if (facts.instance !== instance) throw unavailable(`${file} is of instance ${facts.instance}`)
  return facts
}

function readJson(file: string) {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (cause) {
    throw unavailable(`${file} cannot be read`, cause)
  }
  return parseStrictJson(bytes, { maxBytes: MAX_FILE_BYTES })
}

function unavailable(why: string, cause?: unknown): VouchsafeError {
  return new VouchsafeError('endorsement.unavailable', `instance source: ${why}`, { cause })
}
