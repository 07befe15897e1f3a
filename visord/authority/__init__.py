"""The cluster's own authority: who is a member is what it has signed, so nobody has to bring certificates.

    visord init    makes it, with the founder's certificate             (`founding`)
    visord join    has the certificate of another member made           (`enrolling`, answered by `office`)

issuing          what it makes for whom: pure
authority_files  its files in a data directory
location         where a member is, and the settings that follow from it
new_root         a token for root, from the machine of a member
founding         a new directory: identity, authority, first rights
beginning        the commands, on this machine
enrolling        a new directory of a machine that joins
office           the leader makes certificates, the others ask it
renewal          each member's certificate, while it runs
handover         the authority's key goes to each voter
"""
