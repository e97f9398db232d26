import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '../lib/api'
import { useServices } from '../lib/services'

export type Usage = Schemas['MyUsage']

export const USAGE = ['usage'] as const

/** What the user has used, and what is left. */
export function useUsage() {
  const { api } = useServices()
  return useQuery({
    queryKey: USAGE,
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/usage', { signal })
      return data as Usage
    },
    refetchInterval: 10_000,
    staleTime: 0,
  })
}
