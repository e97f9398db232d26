/** English: the texts of the page, by the part that shows them. */
export const en = {
  common: {
    appName: 'Parley',
    cancel: 'Cancel',
    close: 'Close',
    delete: 'Delete',
    loading: 'Loading …',
    retry: 'Try again',
    save: 'Save',
    undo: 'Undo',
  },
  chat: {},
}
