import { readFileSync } from 'node:fs'
import { VouchsafeError, parseSchema, parseStrictJson, utf8 } from '@vouchsafe/core'
import { z } from 'zod'
import type { InstanceAddress, InstanceSource } from '../context.ts'
import type { DistributorConfig } from '../config.ts'
import { fetchBytes } from '../fetch-bytes.ts'
import {
  diskSchema,
  factsOfGce,
  instanceSchema,
  logEntrySchema,
  projectSchema,
  shieldedIdentitySchema,
} from './document.ts'

const MAX_PAGES = 20
const PAGE_ENTRIES = 100
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,126}[A-Za-z0-9])?$/
const pageSchema = z.looseObject({
  entries: z.array(logEntrySchema).optional(),
  nextPageToken: z.string().optional(),
})

/** Asks an API of Compute Engine's form for each decision: instance, disks, project, TPM keys and audit trail. */
export function liveSource(config: Extract<DistributorConfig['instances'], { kind: 'live' }>): InstanceSource {
  const ask = async <T extends z.ZodType>(schema: T, url: string, body?: unknown): Promise<z.output<T>> => {
    const token = readFileSync(config.tokenFile, 'utf8').trim()
    const bytes = await fetchBytes(url, {
      authority: config.authority,
      headers: { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: utf8(JSON.stringify(body)) }),
    })
    return parseSchema(schema, parseStrictJson(bytes, { maxBytes: 8 * 1024 * 1024 }), 'the platform’s answer')
  }
  return {
    read: async (address, at) => {
      for (const [what, name] of Object.entries(address))
        if (!NAME.test(name)) throw new VouchsafeError('endorsement.unavailable', `instance source: ${what} is no name`)
      const { project, zone, name } = address
      const base = `${config.compute}/projects/${project}`
      const place = `${base}/zones/${zone}`
      const [instance, projectMetadata, shieldedIdentity] = await Promise.all([
        ask(instanceSchema, `${place}/instances/${name}`),
        ask(projectSchema, base),
        ask(shieldedIdentitySchema, `${place}/instances/${name}/getShieldedInstanceIdentity`),
      ])
      // a name can be given to another machine; the id cannot
      if (instance.id !== address.instance)
        throw new VouchsafeError('endorsement.unavailable', `instance source: ${name} is instance ${instance.id} now`)
      const disks = await Promise.all(
        (instance.disks ?? []).flatMap((d) => {
          const disk = d.source?.split('/').at(-1) ?? ''
          return NAME.test(disk) ? [ask(diskSchema, `${place}/disks/${disk}`)] : []
        }),
      )
      const audit = await auditTrail(config.logging, address, instance.creationTimestamp, ask)
      const recorded = { at: at.toISOString(), project, instance, disks, projectMetadata, shieldedIdentity, audit }
      return factsOfGce(recorded, 'live', at)
    },
  }
}

/** All entries on the instance, and on the project's common metadata, since just before it was made. */
async function auditTrail(
  logging: string,
  { project, instance }: InstanceAddress,
  created: string,
  ask: <T extends z.ZodType>(schema: T, url: string, body?: unknown) => Promise<z.output<T>>,
) {
  const since = new Date(Date.parse(created) - 3_600_000).toISOString()
  const filter = [
    `log_id("cloudaudit.googleapis.com/activity")`,
    `timestamp>="${since}"`,
    `((resource.type="gce_instance" AND resource.labels.instance_id="${instance}") OR protoPayload.methodName=~"setCommonInstanceMetadata$")`,
  ].join(' AND ')
  const entries: z.output<typeof logEntrySchema>[] = []
  let pageToken: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await ask(pageSchema, `${logging}/entries:list`, {
      resourceNames: [`projects/${project}`],
      filter,
      orderBy: 'timestamp desc',
      pageSize: PAGE_ENTRIES,
      ...(pageToken !== undefined && { pageToken }),
    })
    entries.push(...(answer.entries ?? []))
    pageToken = answer.nextPageToken
    if (pageToken === undefined || pageToken === '') return { complete: true, entries }
  }
  return { complete: false, entries }
}
