import { parseSchema, referenceNameSchema, resourcePathSchema, wire } from '@vouchsafe/core'
import { z } from 'zod'
import { fileStatement, listAgreements, proposeAgreement } from '../services/agreements.ts'
import { attest, judged } from '../services/attest.ts'
import { ledgerPage, listDecisions, listLeases, readDecision } from '../services/decisions.ts'
import { distrust } from '../services/distrust.ts'
import { beginEnrolment, finishEnrolment } from '../services/enrol.ts'
import { endReference, fileReference, listReferences, referenceHistory } from '../services/references.ts'
import { addPrincipal, issueTicket, listMachines, retireMachine } from '../services/registry.ts'
import { releaseResources, renewLease } from '../services/release.ts'
import { listResources, putResource, removeResource, resourceHistory } from '../services/resources.ts'
import { listSignatures, recordSignature } from '../services/signatures.ts'
import { type Route, callerOf, presentedOf, route } from './route.ts'

const KIB = 1024
const tenant = '/v1/tenants/:tenant'
const open = { kind: 'open' } as const
const guest = { kind: 'guest' } as const
const presented = { kind: 'presented' } as const
const owner = { kind: 'signed', roles: ['owner'] } as const
const staff = { kind: 'signed', roles: ['owner', 'operator'] } as const
const readers = { kind: 'signed', roles: ['owner', 'auditor'] } as const

const pathOf = (call: { readonly params: Readonly<Record<string, string>> }) =>
  parseSchema(resourcePathSchema, call.params['path'], 'resource path')

const setOf = (call: { readonly params: Readonly<Record<string, string>> }) =>
  parseSchema(referenceNameSchema, call.params['path'], 'reference set')

/** The native API, in the order in which a newcomer would meet it. */
export const ROUTES: readonly Route[] = [
  route({
    method: 'GET',
    path: tenant,
    summary: 'Who this tenant is: keys, issuer, audience, log',
    access: open,
    maxBytes: 0,
    request: null,
    response: wire.tenantResponse,
    handle: async ({ context: c }) => ({
      broker: c.pin,
      profile: c.profile,
      owner: c.owner,
      issuer: c.issuer,
      audience: c.audience,
      keys: [...c.tokenKeys].map(([kid, jwk]) => ({ ...jwk, kid })),
    }),
  }),
  route({
    method: 'POST',
    path: `${tenant}/nonces`,
    summary: 'A nonce for one purpose and session; used once',
    access: open,
    maxBytes: KIB,
    request: wire.nonceRequest,
    response: wire.nonceResponse,
    handle: async ({ services, context, body }) => {
      const { nonce, expiresAt } = context.issueNonce(body, services.clock())
      return { nonce, expires: expiresAt.toISOString() }
    },
  }),
  route({
    method: 'POST',
    path: `${tenant}/enrolments/begin`,
    summary: 'Begin to enrol a machine: ticket and endorsement in, credential out',
    access: guest,
    maxBytes: 64 * KIB,
    request: wire.enrolBeginRequest,
    response: wire.enrolBeginResponse,
    handle: ({ services, context, body }) => beginEnrolment(services, context, body),
  }),
  route({
    method: 'POST',
    path: `${tenant}/enrolments/finish`,
    summary: 'Finish to enrol a machine: proof of activation and a first quote',
    access: guest,
    maxBytes: 64 * KIB,
    request: wire.enrolFinishRequest,
    response: wire.enrolFinishResponse,
    handle: ({ services, context, body }) => finishEnrolment(services, context, body),
  }),
  route({
    method: 'POST',
    path: `${tenant}/attestations`,
    summary: 'Show evidence; get a token bound to the proof key',
    access: guest,
    maxBytes: 2048 * KIB,
    request: wire.attestRequestOfAnyKind,
    response: wire.attestResponse,
    handle: ({ services, context, body }) => attest(services, context, judged(body)),
  }),
  route({
    method: 'POST',
    path: `${tenant}/releases`,
    summary:
      'Ask for resources with a token and a proof; get them sealed to the attested key. The proof’s nonce is of purpose `release` and of the attestation’s session',
    access: presented,
    maxBytes: 64 * KIB,
    request: wire.releaseRequest,
    response: wire.releaseResponse,
    handle: (call) => releaseResources(call.services, call.context, presentedOf(call), call.body),
  }),
  route({
    method: 'POST',
    path: `${tenant}/leases/:lease/renewals`,
    summary: 'Renew a lease by fresh evidence',
    access: presented,
    maxBytes: 64 * KIB,
    request: wire.renewRequest,
    response: wire.renewResponse,
    handle: (call) => renewLease(call.services, call.context, presentedOf(call), call.params['lease'] ?? '', call.body),
  }),
  route({
    method: 'POST',
    path: `${tenant}/statements`,
    summary: 'Bring a signed approval or withdrawal',
    access: guest,
    maxBytes: 64 * KIB,
    request: wire.statementRequest,
    response: wire.statementResponse,
    handle: ({ services, context, body }) => fileStatement(services, context, body.statement),
  }),
  route({
    method: 'POST',
    path: `${tenant}/agreements`,
    summary: 'File an agreement',
    access: owner,
    maxBytes: 512 * KIB,
    request: wire.proposeAgreementRequest,
    response: wire.proposeAgreementResponse,
    handle: (call) => proposeAgreement(call.services, call.context, callerOf(call), call.body),
  }),
  route({
    method: 'GET',
    path: `${tenant}/agreements`,
    summary: 'Agreements and how they stand',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.listAgreementsResponse,
    handle: ({ services, context }) => listAgreements(services, context),
  }),
  route({
    method: 'POST',
    path: `${tenant}/signatures`,
    summary: 'Enter a signature of an image into the ledger: a record, which approves nothing',
    access: owner,
    maxBytes: 64 * KIB,
    request: wire.recordSignatureRequest,
    response: wire.recordSignatureResponse,
    handle: (call) => recordSignature(call.services, call.context, callerOf(call), call.body),
  }),
  route({
    method: 'GET',
    path: `${tenant}/signatures/:image`,
    summary: 'Recorded signatures of an image, each with its receipt',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.listSignaturesResponse,
    handle: ({ services, context, params }) => listSignatures(services, context, params['image'] ?? ''),
  }),
  route({
    method: 'GET',
    path: `${tenant}/resources`,
    summary: 'Resources, without their values',
    access: owner,
    maxBytes: 0,
    request: null,
    response: wire.listResourcesResponse,
    handle: ({ services, context }) => listResources(services, context),
  }),
  route({
    method: 'GET',
    path: `${tenant}/resources/:path*`,
    summary: 'Versions of one resource, without values',
    access: owner,
    maxBytes: 0,
    request: null,
    response: wire.listResourcesResponse,
    handle: (call) => resourceHistory(call.services, call.context, pathOf(call)),
  }),
  route({
    method: 'PUT',
    path: `${tenant}/resources/:path*`,
    summary: 'Put the next version of a resource',
    access: owner,
    maxBytes: 1536 * KIB,
    request: wire.putResourceRequest,
    response: wire.putResourceResponse,
    handle: (call) => putResource(call.services, call.context, callerOf(call), pathOf(call), call.body),
  }),
  route({
    method: 'DELETE',
    path: `${tenant}/resources/:path*`,
    summary: 'Release a resource no more; its history stays',
    access: owner,
    maxBytes: 0,
    request: null,
    response: wire.putResourceResponse,
    handle: (call) => removeResource(call.services, call.context, callerOf(call), pathOf(call)),
  }),
  route({
    method: 'POST',
    path: `${tenant}/tickets`,
    summary: 'A one-time ticket for enrolling a machine',
    access: staff,
    maxBytes: KIB,
    request: wire.ticketRequest,
    response: wire.ticketResponse,
    handle: (call) => issueTicket(call.services, call.context, callerOf(call), call.body),
  }),
  route({
    method: 'GET',
    path: `${tenant}/machines`,
    summary: 'Enrolled machines, and those that were',
    access: { kind: 'signed', roles: ['owner', 'operator', 'auditor'] },
    maxBytes: 0,
    request: null,
    response: wire.listMachinesResponse,
    handle: ({ services, context }) => listMachines(services, context),
  }),
  route({
    method: 'DELETE',
    path: `${tenant}/machines/:machine`,
    summary: 'End a machine’s enrolment, and its leases',
    access: owner,
    maxBytes: 0,
    request: null,
    response: wire.retireMachineResponse,
    handle: (call) => retireMachine(call.services, call.context, callerOf(call), call.params['machine'] ?? ''),
  }),
  route({
    method: 'POST',
    path: `${tenant}/principals`,
    summary: 'Add a key to the registry',
    access: owner,
    maxBytes: KIB,
    request: wire.principalRequest,
    response: z.strictObject({}),
    handle: (call) => addPrincipal(call.services, call.context, callerOf(call), call.body),
  }),
  route({
    method: 'GET',
    path: `${tenant}/references`,
    summary: 'Sets of reference values: who vouches for each, and which values hold',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.listReferencesResponse,
    handle: ({ services, context }) => listReferences(services, context),
  }),
  route({
    method: 'GET',
    path: `${tenant}/references/:path*`,
    summary: 'One set as it was signed, with its history here',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.referenceHistoryResponse,
    handle: (call) => referenceHistory(call.services, call.context, setOf(call)),
  }),
  route({
    method: 'PUT',
    path: `${tenant}/references/:path*`,
    summary: 'File the next version of a set; its values hold where an agreement names set and signer',
    access: owner,
    maxBytes: 256 * KIB,
    request: wire.fileReferenceRequest,
    response: wire.referenceResponse,
    handle: (call) => fileReference(call.services, call.context, callerOf(call), setOf(call), call.body),
  }),
  route({
    method: 'POST',
    path: `${tenant}/references/:path*`,
    summary: 'End one value of a set here, before its time and for good',
    access: owner,
    maxBytes: 4 * KIB,
    request: wire.endReferenceRequest,
    response: wire.referenceResponse,
    handle: (call) => endReference(call.services, call.context, callerOf(call), setOf(call), call.body),
  }),
  route({
    method: 'POST',
    path: `${tenant}/distrust`,
    summary: 'Distrust a platform, image or boot state; or list what would be affected',
    access: owner,
    maxBytes: 16 * KIB,
    request: wire.distrustRequest,
    response: wire.distrustResponse,
    handle: (call) => distrust(call.services, call.context, callerOf(call), call.body),
  }),
  route({
    method: 'GET',
    path: `${tenant}/leases`,
    summary: 'Running leases',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.listLeasesResponse,
    handle: ({ services, context }) => listLeases(services, context),
  }),
  route({
    method: 'GET',
    path: `${tenant}/decisions`,
    summary: 'The newest decisions',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.listDecisionsResponse,
    handle: ({ services, context }) => listDecisions(services, context),
  }),
  route({
    method: 'GET',
    path: `${tenant}/decisions/:decision`,
    summary: 'The signed record of one decision',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.decisionResponse,
    handle: (call) => readDecision(call.services, call.context, callerOf(call), call.params['decision'] ?? ''),
  }),
  route({
    method: 'GET',
    path: `${tenant}/ledger`,
    summary: 'A page of the log, each entry with its checkpoint',
    access: readers,
    maxBytes: 0,
    request: null,
    response: wire.ledgerPage,
    handle: ({ services, context, query }) => ledgerPage(services, context, pageStart(query['from'])),
  }),
]

function pageStart(from: string | undefined): number {
  return parseSchema(z.coerce.number().int().min(0), from ?? '0', 'from')
}
