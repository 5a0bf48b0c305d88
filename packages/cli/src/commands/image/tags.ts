import { listTags, parseReference, referenceText } from '@vouchsafe/image'
import type { Command } from 'commander'
import { EXIT, UsageError } from '../../output.ts'
import { type Done, outputOf, verb } from '../options.ts'
import { registryClient, type RegistryOptions, withRegistryOptions } from './address.ts'

interface Options extends RegistryOptions {
  readonly json?: boolean
}

/** `vouchsafe image tags`: what a repository has, by name. */
export function tagsVerb(done: Done): Command {
  return withRegistryOptions(verb('tags', 'list the tags of a repository in a registry'))
    .argument('<repository>', 'registry.example/team/app, without a tag')
    .addHelpText(
      'after',
      '\nA tag is whatever its registry says today: vouchsafe image show tells the digest, which stays.\n' +
        '\nExample:\n  $ vouchsafe image tags registry.example/team/app',
    )
    .action(async (text: string, options: Options) => {
      const reference = parseReference(text)
      const { registry, path, tag, digest } = reference
      if (tag !== undefined || digest !== undefined)
        throw new UsageError(
          `${text} is one image of a repository`,
          `name the repository: ${referenceText({ registry, path })}`,
        )
      const client = registryClient(options)
      try {
        const tags = await listTags(client.endpoint({ registry, path }))
        outputOf(options).answer(
          { repository: referenceText(reference), tags },
          tags.length === 0 ? 'no tags' : tags.join('\n'),
        )
      } finally {
        client.close()
      }
      done(EXIT.yes)
    })
}
