"""Networks: namespaces with addresses, routes and cables; what goes in and out of them; names in between."""
