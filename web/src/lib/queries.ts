import { QueryClient } from '@tanstack/react-query'
import { asProblem } from './problem'

/** The cache of what was read from the API. A call is repeated only where it was not answered or may succeed soon. */
export function createQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 30_000,
        retry: (failures, error) => failures < 2 && (asProblem(error).status === 0 || asProblem(error).status === 503),
        retryDelay: (failures, error) => (asProblem(error).retryAfter ?? 2 ** failures) * 1000,
      },
    },
  })
}
