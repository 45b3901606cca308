"""What a person or a program is shown instead of what it asked for: decision in, bytes out.

Rule 1: nothing of the request is reflected but the catalogue's name of the service and, escaped, the host.
Rule 2: no external asset. One script of our own, named by its hash, adds a button; every page is whole without it.
Rule 3: what the script of a website can read says nothing about the organisation, its segments and its rules.

    asked      what chooses an answer's form, and the answer       asked.Asked, asked.Page
    form       page, API error, text, empty asset ...              form.form_of
    story      what is told, before it has a format                story.tell_decision, story.tell_failure
    draft      pages made once, with gaps                          draft.Drafts
    offer      what a person can do on a page, what came of it     offer.Offer, offer.Result
    ticket     what a form carries, signed                         ticket.seal, ticket.unseal
    said       what a form said, read once                         said.read_form
    gallery    every page in every state                           gallery.gallery
    words      our own sentences, a file a language                words.LANGUAGES
"""
