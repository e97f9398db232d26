import { useQuery } from '@tanstack/react-query'
import type { Schemas } from '../lib/api'
import { useServices } from '../lib/services'

export type Model = Schemas['ModelView']

/** The models and their health, read anew each minute while they are shown. */
export function useModels(isShown: boolean) {
  const { api } = useServices()
  return useQuery({
    queryKey: ['models'],
    queryFn: async ({ signal }) => {
      const { data } = await api.GET('/v1/models', { signal })
      return data as Schemas['ModelsView']
    },
    refetchInterval: isShown ? 15_000 : false,
    staleTime: 60_000,
  })
}
