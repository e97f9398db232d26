import type { Texts } from './texts'

/** Brazilian Portuguese. The type demands the same keys as English has, and no others. */
export const ptBR: Texts = {
  common: {
    appName: 'Parley',
    cancel: 'Cancelar',
    close: 'Fechar',
    delete: 'Excluir',
    loading: 'Carregando …',
    retry: 'Tentar de novo',
    save: 'Salvar',
    undo: 'Desfazer',
  },
  chat: {},
}
