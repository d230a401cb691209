(* RadixTrie: the paged radix trie of src/cache/radix_trie.h as a functional model; only definitions here.
   Functions bear the names of the C++ ones. An index into the C++ arena is replaced by what it stands for, the path
   of tokens from the root to the node's end: `nodes` is a set of nodes, a node's parent is the one whose path is its
   own up to `start`, and num_busy and protected_pages_, which the C++ keeps up to date, are computed. A child is
   found by its first token as in ChildIndex; WavlOrder shows that a WAVL tree finds the same. *)
From Coq Require Import Arith List Bool.
From Tattletale Require Import PagePool LongestPrefix.
Import ListNotations.

Notation token := nat (only parsing).
Notation path := (list nat) (only parsing).

Record node := mk_node {
  n_path : path;         (* tokens from the root to the node's end *)
  start : nat;           (* the edge is n_path[start ..) *)
  pages : list page;     (* full pages whose last token is on the edge *)
  tail : option page;    (* the unfilled page at the end, if owned *)
  holds : nat;           (* leases, copy sources, pin *)
  pinned : bool;
  last_use : nat;
  in_order : bool        (* stands in the eviction order *)
}.
Definition stop (n : node) : nat := length (n_path n).

Record lease := mk_lease { l_node : path; l_copy : option path; l_private : list page }.
Record state := mk_state {
  nodes : list node;
  free : list page;
  leases : list (nat * lease);
  clock : nat
}.

Section Trie.
Variable page_tokens : nat.
Notation P := page_tokens.

(* ---- sets of nodes *)
Fixpoint same_path (a b : path) : bool :=
  match a, b with
  | [], [] => true
  | x :: a', y :: b' => (x =? y) && same_path a' b'
  | _, _ => false
  end.
Fixpoint is_prefix (a b : path) : bool :=
  match a, b with
  | [], _ => true
  | x :: a', y :: b' => (x =? y) && is_prefix a' b'
  | _, _ => false
  end.
Definition find_node (s : path) (ns : list node) : option node := find (fun n => same_path (n_path n) s) ns.
Definition without (s : path) (ns : list node) : list node := filter (fun n => negb (same_path (n_path n) s)) ns.
Definition update (s : path) (f : node -> node) (ns : list node) : list node :=
  map (fun n => if same_path (n_path n) s then f n else n) ns.
Definition children (s : path) (ns : list node) : list node :=
  let depth := length s in filter (fun n => (start n =? depth) && is_prefix s (n_path n)) ns.
Definition is_leaf (s : path) (ns : list node) : bool := match children s ns with [] => true | _ => false end.
Definition parent (n : node) : path := firstn (start n) (n_path n).
Definition has_tail (n : node) : bool := match tail n with Some _ => true | None => false end.
Definition tail_pages (n : node) : list page := match tail n with Some p => [p] | None => [] end.
Definition pages_of (n : node) : list page := pages n ++ tail_pages n.
Definition is_pageless (n : node) : bool := match pages_of n with [] => true | _ => false end.
Definition floor (depth : nat) : nat := depth / P * P.
Definition ceiling_pages (depth : nat) : nat := (depth + (P - 1)) / P.

Definition set_use (use : nat) (n : node) : node :=
  mk_node (n_path n) (start n) (pages n) (tail n) (holds n) (pinned n) use (in_order n).
Definition set_holds (h : nat) (n : node) : node :=
  mk_node (n_path n) (start n) (pages n) (tail n) h (pinned n) (last_use n) (in_order n).
Definition set_pinned (b : bool) (n : node) : node :=
  mk_node (n_path n) (start n) (pages n) (tail n) (holds n) b (last_use n) (in_order n).
Definition set_order (b : bool) (n : node) : node :=
  mk_node (n_path n) (start n) (pages n) (tail n) (holds n) (pinned n) (last_use n) b.
Definition set_tail (t : option page) (n : node) : node :=
  mk_node (n_path n) (start n) (pages n) t (holds n) (pinned n) (last_use n) (in_order n).
Definition set_edge (s : path) (from : nat) (ps : list page) (n : node) : node :=
  mk_node s from ps (tail n) (holds n) (pinned n) (last_use n) (in_order n).

(* ---- walk *)
Record walk_end := mk_walk {
  w_node : path;            (* the last node that agrees to its end *)
  w_child : option path;    (* the child that agrees in part *)
  w_depth : nat;
  w_pages : list page;      (* full pages passed *)
  w_steps : nat;            (* children looked up *)
  w_compared : nat          (* tokens compared *)
}.
Definition child_at (s : path) (key : token) (ns : list node) : option node :=
  find (fun n => nth (length s) (n_path n) 0 =? key) (children s ns).

(* The query is longer than s and begins with it. *)
Fixpoint walk (fuel : nat) (s : path) (query : path) (ns : list node) : walk_end :=
  let here := mk_walk s None (length s) [] 0 0 in
  match fuel with
  | 0 => here
  | S fuel =>
    if length s <? length query then
      match child_at s (nth (length s) query 0) ns with
      | None => mk_walk s None (length s) [] 1 0
      | Some n =>
        let depth := start n + common_prefix (skipn (start n) (n_path n)) (skipn (start n) query) in
        if depth <? stop n then
          mk_walk s (Some (n_path n)) depth (firstn (depth / P - start n / P) (pages n)) 1 (depth - start n + 1)
        else
          let w := walk fuel (n_path n) query ns in
          mk_walk (w_node w) (w_child w) (w_depth w) (pages n ++ w_pages w) (S (w_steps w))
            (depth - start n + w_compared w)
      end
    else here
  end.
Definition walk_from (s query : path) (ns : list node) : walk_end := walk (S (length query)) s query ns.

(* ---- split, merge *)
Definition upper (n : node) (at_ : nat) : node :=
  mk_node (firstn at_ (n_path n)) (start n) (firstn (at_ / P - start n / P) (pages n)) None 0 false (last_use n) false.
Definition lower (n : node) (at_ : nat) : node :=
  set_edge (n_path n) at_ (skipn (at_ / P - start n / P) (pages n)) n.
Definition split (n : node) (at_ : nat) (ns : list node) : list node :=
  upper n at_ :: lower n at_ :: without (n_path n) ns.

(* Joins a node nobody holds with its only child; says whether it did. *)
Definition try_merge (s : path) (ns : list node) : list node * bool :=
  match find_node s ns, children s ns with
  | Some high, [low] =>
    if negb (holds high =? 0) || has_tail high then (ns, false)
    else if negb (is_pageless high) && negb (last_use high =? last_use low) then
      if stop high mod P =? 0 then (ns, false)
      else (set_edge (firstn (floor (stop high)) (n_path high)) (start high) (pages high) high
            :: set_edge (n_path low) (floor (stop high)) (pages low) low
            :: without (n_path high) (without (n_path low) ns), false)
    else (set_edge (n_path low) (start high) (pages high ++ pages low) low
          :: without (n_path high) (without (n_path low) ns), true)
  | _, _ => (ns, false)
  end.

(* ---- holds *)
Definition hold (s : path) (ns : list node) : list node := update s (fun n => set_holds (S (holds n)) n) ns.

Definition with_nodes (st : state) (ns : list node) : state := mk_state ns (free st) (leases st) (clock st).
Definition with_free (st : state) (f : list page) : state := mk_state (nodes st) f (leases st) (clock st).
Definition with_leases (st : state) (ls : list (nat * lease)) : state := mk_state (nodes st) (free st) ls (clock st).
Definition tick (st : state) : state := mk_state (nodes st) (free st) (leases st) (S (clock st)).

Definition drop_redundant_tail (s : path) (st : state) : state :=
  match find_node s (nodes st) with
  | Some n =>
    match tail n with
    | Some p => mk_state (update s (set_tail None) (nodes st)) (give_back p (free st)) (leases st) (clock st)
    | None => st
    end
  | None => st
  end.

Definition unhold (s : path) (st : state) : state :=
  match find_node s (nodes st) with
  | None => st  (* the root *)
  | Some n =>
    let st := with_nodes st (update s (fun n => set_holds (holds n - 1) n) (nodes st)) in
    if negb (holds n =? 1) then st
    else if is_leaf s (nodes st) then with_nodes st (update s (set_order true) (nodes st))
    else let st := drop_redundant_tail s st in with_nodes st (fst (try_merge s (nodes st)))
  end.

(* Every node on the path s that is not in the order was used now. *)
Definition touch_path (s : path) (st : state) : state :=
  with_nodes st (map (fun n => if is_prefix (n_path n) s && negb (in_order n) then set_use (clock st) n else n) (nodes st)).

Fixpoint merge_up (fuel : nat) (s : path) (ns : list node) : list node :=
  match fuel with
  | 0 => ns
  | S fuel =>
    match find_node s ns with
    | None => ns
    | Some n => let (ns', merged) := try_merge (parent n) ns in if merged then merge_up fuel s ns' else ns'
    end
  end.

Definition release_hold (s : path) (st : state) : state :=
  let st := with_nodes st (update s (set_order false) (nodes st)) in
  let st := touch_path s st in
  let leaf := is_leaf s (nodes st) in
  let st := unhold s st in
  if leaf then with_nodes st (merge_up (length (nodes st)) s (nodes st)) else st.

(* ---- match *)
(* The node on the path to `bottom` that ends at `depth`, cut there if need be. *)
Definition end_node_at (bottom : path) (depth : nat) (ns : list node) : path * list node :=
  match find (fun n => (start n <? depth) && (depth <=? stop n) && is_prefix (n_path n) bottom) ns with
  | None => ([], ns)
  | Some n => if stop n =? depth then (n_path n, ns) else (firstn depth (n_path n), split n depth ns)
  end.

(* ChildIndex::any_child may return any child; the one that lies on `hint`, if there is one. *)
Definition any_child (s hint : path) (ns : list node) : option node :=
  match find (fun n => is_prefix (n_path n) hint) (children s ns) with
  | Some n => Some n
  | None => hd_error (children s ns)
  end.
Fixpoint with_page (fuel : nat) (n : node) (hint : path) (ns : list node) : node :=
  match fuel with
  | 0 => n
  | S fuel =>
    if is_pageless n then match any_child (n_path n) hint ns with Some c => with_page fuel c hint ns | None => n end
    else n
  end.
Definition find_copy_source (w : walk_end) (full : nat) (hint : path) (ns : list node) : option (path * page) * list node :=
  let first :=
    match w_child w with
    | Some c => find_node c ns
    | None =>
      match find_node (w_node w) ns with
      | Some n => if has_tail n then Some n else any_child (w_node w) hint ns
      | None => any_child (w_node w) hint ns
      end
    end in
  match first with
  | None => (None, ns)
  | Some n =>
    let owner := with_page (length ns) n hint ns in
    match hd_error (pages_of owner) with
    | None => (None, ns)
    | Some p =>
      let boundary := full + P in
      (* Holds whenever the walk ended inside the page that begins at `full`; the C++ need not ask. *)
      if negb ((full <=? start owner) && (start owner <? boundary)) then (None, ns)
      else if boundary <? stop owner then (Some (firstn boundary (n_path owner), p), split owner boundary ns)
      else (Some (n_path owner, p), ns)
    end
  end.

Record match_result := mk_match {
  m_matched : nat; m_pages : list page; m_copy : option page; m_steps : nat; m_compared : nat
}.
Definition bottom_of (w : walk_end) : path := match w_child w with Some c => c | None => w_node w end.
Definition match_ (id : nat) (recompute_last_token : bool) (tokens hint : path) (st : state) : state * match_result :=
  let query := if recompute_last_token then firstn (length tokens - 1) tokens else tokens in
  let w := walk_from [] query (nodes st) in
  let full := floor (w_depth w) in
  let (last, ns) := end_node_at (bottom_of w) full (nodes st) in
  let ns := hold last ns in
  let (copy, ns) := if w_depth w =? full then (None, ns) else find_copy_source w full hint ns in
  let ns := match copy with Some (s, _) => hold s ns | None => ns end in
  let st := tick (with_nodes st ns) in
  let st := touch_path (match copy with Some (s, _) => s | None => last end) st in
  (with_leases st ((id, mk_lease last (option_map fst copy) []) :: leases st),
   mk_match (w_depth w) (w_pages w) (option_map snd copy) (w_steps w) (w_compared w)).

Definition peek (tokens : path) (st : state) : nat := w_depth (walk_from [] tokens (nodes st)).

(* ---- leases *)
Definition find_lease (id : nat) (st : state) : option lease :=
  option_map snd (find (fun l => fst l =? id) (leases st)).
Definition set_lease (id : nat) (l : lease) (st : state) : state :=
  with_leases st (map (fun x => if fst x =? id then (id, l) else x) (leases st)).
Definition forget_lease (id : nat) (st : state) : state :=
  with_leases st (filter (fun x => negb (fst x =? id)) (leases st)).

Definition fork (from id : nat) (st : state) : state :=
  match find_lease from st with
  | None => st
  | Some l => with_leases (with_nodes st (hold (l_node l) (nodes st))) ((id, mk_lease (l_node l) None []) :: leases st)
  end.

Definition drop_copy_source (id : nat) (st : state) : state :=
  match find_lease id st with
  | None => st
  | Some l =>
    match l_copy l with
    | None => st
    | Some s => release_hold s (tick (set_lease id (mk_lease (l_node l) None (l_private l)) st))
    end
  end.

Definition free_private_pages (id num : nat) (st : state) : state :=
  match find_lease id st with
  | None => st
  | Some l =>
    with_free (set_lease id (mk_lease (l_node l) (l_copy l) (skipn num (l_private l))) st)
      (give_back_all (firstn num (l_private l)) (free st))
  end.

Definition release (id : nat) (st : state) : state :=
  match find_lease id st with
  | None => st
  | Some l =>
    let st := tick st in
    let st := forget_lease id st in
    let st := match l_copy l with Some s => release_hold s st | None => st end in
    let st := with_free st (give_back_all (l_private l) (free st)) in
    release_hold (l_node l) st
  end.

(* ---- evict *)
Definition older (a b : option node) : option node :=
  match a, b with
  | Some x, Some y => if last_use y <? last_use x then b else a
  | Some _, None => a
  | None, _ => b
  end.
Definition oldest (ns : list node) : option node :=
  fold_right (fun n best => older (if in_order n then Some n else None) best) None ns.

(* Takes away a leaf whose pages are gone. *)
Definition remove_leaf (n : node) (ns : list node) : list node :=
  let ns := without (n_path n) ns in
  let up := parent n in
  match find_node up ns with
  | None => ns  (* the root *)
  | Some p =>
    if is_leaf up ns then (if holds p =? 0 then update up (set_order true) ns else ns)
    else fst (try_merge up ns)
  end.

(* Frees `num` pages, at most what it owns, from the end of a leaf that nobody holds. *)
Definition trim_leaf (n : node) (num : nat) (st : state) : state :=
  let owned := pages_of n in
  let kept := length owned - num in
  let freed := give_back_all (rev (skipn kept owned)) (free st) in
  let ns :=
    if kept =? 0 then remove_leaf n (nodes st)
    else set_tail None (set_edge (firstn ((start n / P + kept) * P) (n_path n)) (start n) (firstn kept owned) n)
         :: without (n_path n) (nodes st) in
  mk_state ns freed (leases st) (clock st).

Fixpoint evict_loop (fuel num freed : nat) (st : state) : nat * state :=
  match fuel with
  | 0 => (freed, st)
  | S fuel =>
    if freed <? num then
      match oldest (nodes st) with
      | None => (freed, st)
      | Some n =>
        if negb (holds n =? 0) then
          evict_loop fuel num freed (with_nodes st (update (n_path n) (set_order false) (nodes st)))
        else
          let wanted := Nat.min (num - freed) (length (pages_of n)) in
          evict_loop fuel num (freed + wanted) (trim_leaf n wanted st)
      end
    else (freed, st)
  end.
Definition evict (num : nat) (st : state) : nat * state := evict_loop (2 * length (nodes st) + 1) num 0 st.

(* A node is busy if it or a node below is held. *)
Definition is_busy (s : path) (ns : list node) : bool :=
  existsb (fun m => is_prefix s (n_path m) && negb (holds m =? 0)) ns.
Definition sum (f : node -> nat) (ns : list node) : nat := fold_right (fun n s => f n + s) 0 ns.
Definition num_evictable (ns : list node) : nat :=
  sum (fun n => if is_busy (n_path n) ns then 0 else length (pages_of n)) ns.

Definition allocate_pages (id num : nat) (st : state) : option (list page) * state :=
  match find_lease id st with
  | None => (None, st)
  | Some l =>
    let missing := num - length (free st) in
    if num_evictable (nodes st) <? missing then (None, st)
    else
      let st := if missing =? 0 then st else snd (evict missing st) in
      let (taken, rest) := take num (free st) in
      (Some taken, with_free (set_lease id (mk_lease (l_node l) (l_copy l) (l_private l ++ taken)) st) rest)
  end.

(* ---- extend, finish *)
Definition may_grow (n : node) (lease_node : path) (ns : list node) : bool :=
  is_leaf (n_path n) ns && (holds n =? (if same_path (n_path n) lease_node then 1 else 0)) && negb (pinned n).

Definition full_of (tokens : path) (depth : nat) (ps : list page) : list page := firstn (length tokens / P - depth / P) ps.
Definition tail_of (tokens : path) (depth : nat) (ps : list page) : option page :=
  if length tokens mod P =? 0 then None else nth_error ps (length tokens / P - depth / P).

(* Appends the run to a leaf; its tail is freed. *)
Definition grow (n : node) (tokens : path) (ps : list page) (st : state) : state :=
  mk_state (set_tail (tail_of tokens (stop n) ps)
              (set_edge tokens (start n) (pages n ++ full_of tokens (stop n) ps) n) :: without (n_path n) (nodes st))
    (give_back_all (tail_pages n) (free st)) (leases st) (clock st).

Definition new_leaf (tokens : path) (depth : nat) (ps : list page) : node :=
  mk_node tokens depth (full_of tokens depth ps) (tail_of tokens depth ps) 0 false 0 false.

(* Publishes tokens[length at_ ..) below the node at_ with the lease's first private pages. The lease's own node may
   move: a leaf that grows is named by its new path. *)
Definition attach_run (id : nat) (l : lease) (at_ tokens : path) (st : state) : state :=
  let num := ceiling_pages (length tokens) - length at_ / P in
  let ps := firstn num (l_private l) in
  let rest := skipn num (l_private l) in
  let leaf_below st :=
    with_nodes (set_lease id (mk_lease (l_node l) (l_copy l) rest) st)
      (new_leaf tokens (length at_) ps :: update at_ (set_order false) (nodes st)) in
  match find_node at_ (nodes st) with
  | Some n =>
    if may_grow n (l_node l) (nodes st) then
      set_lease id (mk_lease (if same_path at_ (l_node l) then tokens else l_node l) (l_copy l) rest) (grow n tokens ps st)
    else leaf_below st
  | None => leaf_below st
  end.

(* The lease's path ends at `to` from now on. *)
Definition move_lease (id : nat) (to : path) (st : state) : state :=
  match find_lease id st with
  | None => st
  | Some l =>
    if same_path to (l_node l) then touch_path to (tick st)
    else
      let st := with_nodes st (hold to (nodes st)) in
      let st := set_lease id (mk_lease to (l_copy l) (l_private l)) st in
      let st := touch_path to (tick st) in
      unhold (l_node l) st
  end.

(* Hangs the tokens after the lease's path where they belong; the pages that now replace the lease's own. *)
Definition publish (id : nat) (tokens : path) (st : state) : state * list page :=
  match find_lease id st with
  | None => (st, [])
  | Some l =>
    let w := walk_from (l_node l) tokens (nodes st) in
    if (w_depth w =? length tokens) && negb (w_depth w mod P =? 0) then (move_lease id (l_node l) st, [])
    else
      let (at_, st) :=
        match w_child w with
        | None => (w_node w, st)
        | Some c =>
          match find_node c (nodes st) with
          | None => (w_node w, st)
          | Some n => (firstn (w_depth w) c, with_nodes st (split n (w_depth w) (nodes st)))
          end
        end in
      let st := free_private_pages id (length (w_pages w)) st in
      let st :=
        if w_depth w =? length tokens then st
        else match find_lease id st with Some l => attach_run id l at_ tokens st | None => st end in
      (move_lease id tokens st, w_pages w)
  end.

(* The caller's side of CHECK: the tokens begin with the lease's path and its private pages reach to their end. *)
Definition may_publish (l : lease) (tokens : path) : bool :=
  is_prefix (l_node l) tokens && (ceiling_pages (length tokens) - length (l_node l) / P <=? length (l_private l)).

(* The length published and the pages that replace the lease's own. *)
Definition extend (id : nat) (computed : path) (st : state) : state * list page :=
  match find_lease id st with
  | None => (st, [])
  | Some l =>
    let tokens := firstn (floor (length computed)) computed in
    if (length (l_node l) <? length tokens) && may_publish l tokens then publish id tokens (drop_copy_source id st)
    else (st, [])
  end.

Definition finish (id : nat) (computed : path) (st : state) : state :=
  let st := fst (extend id computed st) in
  match find_lease id st with
  | None => st
  | Some l =>
    let st :=
      if (length (l_node l) <? length computed) && negb (match l_private l with [] => true | _ => false end)
         && may_publish l computed
      then fst (publish id computed (drop_copy_source id st)) else st in
    release id st
  end.

(* ---- pins *)
Definition pin (tokens : path) (st : state) : nat * state :=
  let w := walk_from [] tokens (nodes st) in
  let full := floor (w_depth w) in
  let (s, ns) := end_node_at (bottom_of w) full (nodes st) in
  let st := with_nodes st ns in
  match find_node s ns with
  | Some n => (full, if pinned n then st else with_nodes st (update s (set_pinned true) (hold s ns)))
  | None => (full, st)
  end.

Fixpoint pinned_above (fuel : nat) (s : path) (ns : list node) : option path :=
  match fuel with
  | 0 => None
  | S fuel =>
    match find_node s ns with
    | None => None
    | Some n => if pinned n then Some s else pinned_above fuel (parent n) ns
    end
  end.
Definition unpin (tokens : path) (st : state) : bool * state :=
  let w := walk_from [] tokens (nodes st) in
  match pinned_above (S (length tokens)) (w_node w) (nodes st) with
  | None => (false, st)
  | Some s => (true, release_hold s (tick (with_nodes st (update s (set_pinned false) (nodes st)))))
  end.

(* ---- every operation a caller has *)
Inductive operation :=
| Match_ (id : nat) (recompute_last_token : bool) (tokens hint : path)
| Fork (from id : nat)
| Allocate (id num : nat)
| Extend (id : nat) (computed : path)
| Finish (id : nat) (computed : path)
| DropCopy (id : nat)
| Release (id : nat)
| Evict (num : nat)
| Pin (tokens : path)
| Unpin (tokens : path).

(* A new lease has a new name. *)
Definition fresh (id : nat) (st : state) : bool := forallb (fun l => negb (fst l =? id)) (leases st).
Definition step (st : state) (op : operation) : state :=
  match op with
  | Match_ id r tokens hint => if fresh id st then fst (match_ id r tokens hint st) else st
  | Fork from id => if fresh id st then fork from id st else st
  | Allocate id num => snd (allocate_pages id num st)
  | Extend id computed => fst (extend id computed st)
  | Finish id computed => finish id computed st
  | DropCopy id => drop_copy_source id st
  | Release id => release id st
  | Evict num => snd (evict num st)
  | Pin tokens => snd (pin tokens st)
  | Unpin tokens => snd (unpin tokens st)
  end.
Definition initial (num_pages : nat) : state := mk_state [] (create num_pages) [] 0.
End Trie.
