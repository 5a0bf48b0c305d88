import { wire } from '@vouchsafe/core'
import { z } from 'zod'
import type { Access, Route } from './route.ts'

/** The API as an OpenAPI 3.1 document, made from the same table that routes it. */
export function openApi(routes: readonly Route[]) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:([a-z]+)\*?/g, '{$1}')
    const item = (paths[path] ??= {})
    item[route.method.toLowerCase()] = {
      summary: route.summary,
      operationId: operationId(route),
      security: security(route.access),
      parameters: [...route.path.matchAll(/:([a-z]+)\*?/g)].map(([, name]) => ({
        name,
        in: 'path',
        required: true,
        schema: { type: 'string' },
      })),
      ...(route.request === null ? {} : { requestBody: { required: true, content: content(route.request, 'input') } }),
      responses: {
        200: { description: 'The answer', content: content(route.response, 'output') },
        default: {
          description: 'A refusal: a stable code, and the id of the recorded decision where there is one',
          content: content(wire.errorResponse, 'output'),
        },
      },
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'vouchsafe broker', version: '1', license: { name: 'Apache-2.0' } },
    paths,
    components: {
      securitySchemes: {
        signature: {
          type: 'apiKey',
          in: 'header',
          name: 'authorization',
          description:
            '`Vouchsafe-Signature` and a JWS over method, path, body, broker and a nonce of purpose `request`',
        },
        token: {
          type: 'apiKey',
          in: 'header',
          name: 'authorization',
          description:
            '`Vouchsafe` and the token of an attestation; with `vouchsafe-proof`, a JWS of the token’s key over this request',
        },
      },
    },
  }
}

function content(schema: z.ZodType, io: 'input' | 'output') {
  return { 'application/json': { schema: z.toJSONSchema(schema, { io, unrepresentable: 'any' }) } }
}

function security(access: Access): readonly Record<string, readonly string[]>[] {
  if (access.kind === 'signed') return [{ signature: [...access.roles] }]
  return access.kind === 'presented' ? [{ token: [] }] : []
}

function operationId({ method, path }: Route): string {
  const words = path
    .split('/')
    .filter((p) => p !== '' && p !== 'v1')
    .map((p) => p.replaceAll(/[:*]/g, ''))
  return [method.toLowerCase(), ...words].join('-')
}
