(* Extend: publish, extend and finish keep the invariant; with that, every sequence of operations does. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk TrieGrow Invariant Leases
  Eviction Publish Reachable.
Import ListNotations.

Section Extend.
Variable P : nat.
Hypothesis P_positive : 0 < P.
Variable num_pages : nat.
Notation inv := (inv P num_pages).
Notation focus := (focus P num_pages).

Lemma focus_own id l held own own' xb xo st : (forall p, own p = own' p) -> focus id l held own xb xo st -> focus id l held own' xb xo st.
Proof. intros E [V N F G]. constructor; auto. intros p. rewrite <- E. auto. Qed.

(* ---- move_lease *)
Lemma move_lease_same id l st : focus id l (holds_of l) (own_pages l) [] [] st -> inv (move_lease P id (l_node l) st).
Proof.
  intros C. unfold move_lease. rewrite find_lease_in, (c_find _ _ _ _ _ _ _ _ _ C), same_path_refl.
  apply (focus_inv P P_positive num_pages id l). apply (focus_touch P P_positive num_pages), (focus_tick P num_pages), C.
Qed.
Lemma move_lease_ok id l to xo st : focus id l (holds_of l) (own_pages l) [] xo st -> (xo = [] \/ xo = to) ->
  a_node to (nodes st) -> (forall n, In n (nodes st) -> n_path n = to -> stop n mod P = 0 \/ tail n <> None) ->
  to <> l_node l -> inv (move_lease P id to st).
Proof.
  intros C X A Sol N. unfold move_lease. rewrite find_lease_in, (c_find _ _ _ _ _ _ _ _ _ C).
  assert (same_path to (l_node l) = false) as -> by (apply same_path_false; auto).
  set (l' := mk_lease to (l_copy l) (l_private l)). apply (focus_inv P P_positive num_pages id l').
  assert (C1 : focus id l (to :: holds_of l) (own_pages l) [] [] (with_nodes st (hold to (nodes st)))).
  { destruct C as [V Nm F G]. constructor; auto.
    - cbn [nodes with_nodes leases app]. apply (hold_inv P P_positive _ _ _ [] xo); auto. destruct X; auto.
    - intros p. specialize (G p). cbn [nodes with_nodes free leases].
      destruct (meta_ok P _ (nodes st) (hold_meta to) (i_wf _ _ _ _ _ V)) as (_ & Sm).
      pose proof (same_pages P _ _ Sm p). unfold hold, update. lia. }
  apply (focus_unhold P P_positive num_pages id l' (l_node l) (holds_of l')). apply (focus_touch P P_positive num_pages), (focus_tick P num_pages).
  apply (focus_set P num_pages id l l'). eapply (focus_held P P_positive); [|exact C1].
  intros s _. unfold holds_of. cbn. destruct (l_copy l); cbn; lia.
Qed.

(* ---- free_private_pages *)
Lemma free_private_ok id l num xb st : focus id l (holds_of l) (own_pages l) xb [] st ->
  let l' := mk_lease (l_node l) (l_copy l) (skipn num (l_private l)) in
  focus id l' (holds_of l') (own_pages l') xb [] (free_private_pages id num st) /\ nodes (free_private_pages id num st) = nodes st.
Proof.
  intros C l'. unfold free_private_pages. rewrite find_lease_in, (c_find _ _ _ _ _ _ _ _ _ C). fold l'. split; [|reflexivity].
  apply (focus_set P num_pages id l l') in C. destruct C as [V N F G]. constructor; auto.
  intros p. specialize (G p). unfold own_pages in *. change (l_private l') with (skipn num (l_private l)).
  pose proof (count_split p num (l_private l)) as Cs. clearbody l'. cbn [free nodes leases with_free set_lease with_leases] in *.
  rewrite count_give_back_all. lia.
Qed.

(* ---- attach_run *)
Lemma same_map_leases st ns : leases (with_nodes st ns) = leases st. Proof. reflexivity. Qed.

Theorem attach_run_ok id l s xb tokens st : focus id l (holds_of l) (own_pages l) xb [] st -> a_node s (nodes st) -> prefix s tokens ->
  length s < length tokens -> ~ edge_of (nodes st) (firstn (S (length s)) tokens) ->
  (xb = [] \/ (xb = s /\ exists b, edge_of (nodes st) (s ++ [b]))) -> l_copy l = None ->
  ceiling_pages P (length tokens) - length s / P <= length (l_private l) ->
  let st' := attach_run P id l s tokens st in
  exists l', l_copy l' = None /\ (l_node l' = l_node l \/ l_node l' = tokens) /\
    focus id l' (holds_of l') (own_pages l') [] (if same_path (l_node l') tokens then [] else tokens) st' /\ a_node tokens (nodes st') /\
    (forall n, In n (nodes st') -> n_path n = tokens -> stop n mod P = 0 \/ tail n <> None).
Proof.
  intros C A Ps L N X Cp Num. cbv zeta. unfold attach_run. set (num := ceiling_pages P (length tokens) - length s / P) in *.
  set (ps := firstn num (l_private l)). pose proof (c_nodes _ _ _ _ _ _ _ _ _ C) as V. pose proof (i_wf _ _ _ _ _ V) as W.
  assert (R : runs P tokens (length s) ps) by (unfold runs, ps; rewrite firstn_length; fold num; lia).
  pose proof (fresh_path P P_positive (nodes st) s tokens W Ps L N) as Fr.
  assert (Nl : l_node l <> tokens).
  { intros E. apply Fr. rewrite <- E. apply (i_held _ _ _ _ _ V). left. reflexivity. }
  assert (Own : forall p, count p (l_private l) = count p ps + count p (skipn num (l_private l))).
  { intros p. symmetry. apply count_split. }
  (* a new leaf below s *)
  assert (Below : exists l', l_copy l' = None /\ (l_node l' = l_node l \/ l_node l' = tokens) /\
    focus id l' (holds_of l') (own_pages l') [] (if same_path (l_node l') tokens then [] else tokens)
      (with_nodes (set_lease id (mk_lease (l_node l) (l_copy l) (skipn num (l_private l))) st)
        (new_leaf P tokens (length s) ps :: update s (set_order false) (nodes st))) /\
    a_node tokens (new_leaf P tokens (length s) ps :: update s (set_order false) (nodes st)) /\
    (forall n, In n (new_leaf P tokens (length s) ps :: update s (set_order false) (nodes st)) -> n_path n = tokens ->
       stop n mod P = 0 \/ tail n <> None)).
  { set (l' := mk_lease (l_node l) (l_copy l) (skipn num (l_private l))). exists l'. split; [exact Cp|]. split; [left; reflexivity|].
    cbn [l_node l']. assert (same_path (l_node l) tokens = false) as -> by (apply same_path_false; auto).
    pose proof (new_leaf_inv P P_positive _ _ s xb tokens ps V A Ps L N R X) as V1.
    split; [|split].
    - apply (focus_set P num_pages id l l') in C. destruct C as [V0 Nm F G]. constructor; auto.
      + cbn [nodes with_nodes leases]. cbn [leases set_lease with_leases].
        change (map (fun x => if fst x =? id then (id, l') else x) (leases st)) with (set_in id l' (leases st)).
        rewrite set_in_others. exact V1.
      + intros p. specialize (G p). cbn [nodes with_nodes free leases] in *.
        assert (Mo : meta_only (fun m => if same_path (n_path m) s then set_order false m else m)) by apply (meta_update s), meta_order.
        destruct (meta_ok P _ (nodes st) Mo W) as (W1 & Sm).
        assert (E : pages_count p (new_leaf P tokens (length s) ps :: update s (set_order false) (nodes st)) =
                    pages_count p (nodes st) + count p ps).
        { rewrite <- (same_pages P _ _ Sm p). apply new_leaf_ok; auto.
          - apply (a_node_map _ (nodes st) s Mo); auto.
          - rewrite (same_edges P _ _ Sm). exact N. }
        rewrite E. unfold own_pages in *. cbn [l_private l'] in *. specialize (Own p).
        cbn [nodes free set_lease with_leases] in *. lia.
    - right. left. reflexivity.
    - intros n [<-|Hn] En.
      + unfold stop. cbn. apply solid_run; auto. lia.
      + exfalso. apply Fr. right. apply in_map_iff in Hn. destruct Hn as (m & <- & Hm). apply in_paths. exists m. split; auto.
        destruct (same_path (n_path m) s); exact En. }
  destruct (find_node s (nodes st)) as [n|] eqn:F; [|exact Below].
  destruct (may_grow n (l_node l) (nodes st)) eqn:M; [|exact Below]. clear Below.
  apply find_node_some in F. destruct F as (Hn & En). subst s.
  unfold may_grow in M. rewrite !andb_true_iff, negb_true_iff, Nat.eqb_eq in M. destruct M as ((M1 & M2) & M3).
  apply (is_leaf_spec P P_positive _ _ W A) in M1.
  assert (Xb : xb = []).
  { destruct X as [X|(_ & b & Eb)]; auto. exfalso. apply (M1 b Eb). }
  subst xb. change (length (n_path n)) with (stop n) in *.
  destruct (grow_ok P P_positive (nodes st) n tokens ps W Hn M1 Ps L R) as (W' & _ & _ & Gp).
  set (own := same_path (n_path n) (l_node l)) in *.
  set (l' := mk_lease (if own then tokens else l_node l) (l_copy l) (skipn num (l_private l))). exists l'.
  assert (Ho : holds_of l = [l_node l]) by (unfold holds_of; rewrite Cp; reflexivity).
  assert (Ho' : holds_of l' = [if own then tokens else l_node l]) by (unfold holds_of; cbn; rewrite Cp; reflexivity).
  split; [exact Cp|]. split; [cbn; destruct own; auto|].
  set (H := held_of (others id (leases st))) in *.
  assert (V1 : node_inv P (grown P n tokens ps :: without (n_path n) (nodes st)) ((if own then tokens else l_node l) :: H) [] []).
  { rewrite Ho in V. destruct own eqn:O.
    - apply same_path_spec in O. apply (grown_inv P P_positive (nodes st) n H true tokens ps); auto. rewrite O. exact V.
    - apply (grown_inv P P_positive (nodes st) n (l_node l :: H) false tokens ps); auto. }
  split; [|split].
  - assert ((if same_path (l_node l') tokens then [] else tokens) = [] \/ True) as _ by auto.
    assert (C' : focus id l' (holds_of l') (own_pages l') [] [] (set_lease id l' (grow P n tokens ps st))).
    { destruct C as [V0 Nm Fd G]. constructor.
      - cbn [nodes set_lease with_leases grow leases].
        change (map (fun x => if fst x =? id then (id, l') else x) (leases st)) with (set_in id l' (leases st)).
        rewrite set_in_others, Ho'. exact V1.
      - cbn [leases set_lease with_leases grow].
        change (map (fun x => if fst x =? id then (id, l') else x) (leases st)) with (set_in id l' (leases st)).
        rewrite set_in_names. exact Nm.
      - cbn [leases set_lease with_leases grow]. eapply set_in_find. exact Fd.
      - intros p. specialize (G p). specialize (Gp p). specialize (Own p). cbn [nodes free leases set_lease with_leases grow].
        change (map (fun x => if fst x =? id then (id, l') else x) (leases st)) with (set_in id l' (leases st)).
        rewrite set_in_others, count_give_back_all. unfold own_pages in *. cbn [l_private l']. unfold grown in Gp. lia. }
    destruct (same_path (l_node l') tokens); [exact C'|].
    destruct C' as [V' Nm' F' G']. constructor; auto. destruct V' as [W1 B1 L1 O1 H1 D1 S1]. constructor; auto.
    intros m Hm _. apply O1; auto. apply (path_not_nil P P_positive _ m W1 Hm).
  - right. left. reflexivity.
  - intros m [<-|Hm] Em.
    + unfold stop. cbn. apply solid_run; auto. unfold stop in L. lia.
    + exfalso. apply Fr. right. apply in_without in Hm. apply in_paths. exists m. tauto.
Qed.

(* What attach_run adds. *)
Theorem attach_run_map id l s xb tokens st : focus id l (holds_of l) (own_pages l) xb [] st -> a_node s (nodes st) -> prefix s tokens ->
  length s < length tokens -> ~ edge_of (nodes st) (firstn (S (length s)) tokens) ->
  (xb = [] \/ (xb = s /\ exists b, edge_of (nodes st) (s ++ [b]))) -> l_copy l = None ->
  ceiling_pages P (length tokens) - length s / P <= length (l_private l) ->
  let st' := attach_run P id l s tokens st in
  let ps := firstn (ceiling_pages P (length tokens) - length s / P) (l_private l) in
  (forall q, edge_of (nodes st') q <-> edge_of (nodes st) q \/ (prefix q tokens /\ length s < length q)) /\
  (forall k p, full_entry P (nodes st') k p <-> full_entry P (nodes st) k p \/ run_entry P tokens (length s) ps k p).
Proof.
  intros C A Ps L N X Cp Num. cbv zeta. unfold attach_run. set (num := ceiling_pages P (length tokens) - length s / P) in *.
  set (ps := firstn num (l_private l)). pose proof (c_nodes _ _ _ _ _ _ _ _ _ C) as V. pose proof (i_wf _ _ _ _ _ V) as W.
  assert (R : runs P tokens (length s) ps) by (unfold runs, ps; rewrite firstn_length; fold num; lia).
  assert (Below : (forall q, edge_of (new_leaf P tokens (length s) ps :: update s (set_order false) (nodes st)) q <->
      edge_of (nodes st) q \/ (prefix q tokens /\ length s < length q)) /\
    (forall k p, full_entry P (new_leaf P tokens (length s) ps :: update s (set_order false) (nodes st)) k p <->
      full_entry P (nodes st) k p \/ run_entry P tokens (length s) ps k p)).
  { assert (Mo : meta_only (fun m => if same_path (n_path m) s then set_order false m else m)) by apply (meta_update s), meta_order.
    destruct (meta_ok P _ (nodes st) Mo W) as (W1 & Sm).
    destruct (new_leaf_ok P P_positive (update s (set_order false) (nodes st)) s tokens ps) as (_ & E & G & _); auto.
    - apply (a_node_map _ (nodes st) s Mo); auto.
    - unfold update. rewrite (same_edges P _ _ Sm). exact N.
    - split.
      + intros q. rewrite E. unfold update. rewrite (same_edges P _ _ Sm). tauto.
      + intros k p. rewrite G. unfold update. rewrite (same_entries P _ _ Sm). tauto. }
  destruct (find_node s (nodes st)) as [n|] eqn:F; [|exact Below].
  destruct (may_grow n (l_node l) (nodes st)) eqn:M; [|exact Below]. clear Below.
  apply find_node_some in F. destruct F as (Hn & En). subst s.
  unfold may_grow in M. rewrite !andb_true_iff in M. destruct M as ((M1 & _) & _).
  apply (is_leaf_spec P P_positive _ _ W A) in M1. change (length (n_path n)) with (stop n) in *.
  destruct (grow_ok P P_positive (nodes st) n tokens ps W Hn M1 Ps L R) as (_ & E & G & _). split; [exact E|exact G].
Qed.

(* ---- where publish hangs the run: the last node that agrees, cut where the tokens part *)
Lemma hang_point id l st tokens w : focus id l (holds_of l) (own_pages l) [] [] st -> well_formed P (nodes st) ->
  a_node (w_node w) (nodes st) -> prefix (w_node w) tokens -> w_depth w <= length tokens ->
  match w_child w with
  | None => length (w_node w) = w_depth w
  | Some c => exists n, In n (nodes st) /\ n_path n = c /\ start n = length (w_node w) /\ prefix (w_node w) c /\
              prefix (firstn (w_depth w) tokens) c /\ start n < w_depth w < stop n
  end ->
  let pair := match w_child w with
               | Some c => match find_node c (nodes st) with
                           | Some n => (firstn (w_depth w) c, with_nodes st (split P n (w_depth w) (nodes st)))
                           | None => (w_node w, st) end
               | None => (w_node w, st) end in
  exists xb, focus id l (holds_of l) (own_pages l) xb [] (snd pair) /\ a_node (fst pair) (nodes (snd pair)) /\
    prefix (fst pair) tokens /\ length (fst pair) = w_depth w /\ same_map P (nodes st) (nodes (snd pair)) /\
    (xb = [] \/ (w_depth w mod P <> 0 /\ xb = fst pair /\ exists b, edge_of (nodes (snd pair)) (fst pair ++ [b]))).
Proof.
  intros C W Aw Pw F2 F6 pair.
  unfold pair. destruct (w_child w) as [c|].
    - destruct F6 as (n & Hn & En & Sn & Pc & Pd & D1 & D2). subst c. rewrite (find_node_in P _ n W Hn). cbn [fst snd].
      assert (Lf : length (firstn (w_depth w) (n_path n)) = w_depth w) by (rewrite firstn_length; unfold stop in *; lia).
      destruct (split_ok P P_positive n (w_depth w) (nodes st) W Hn (conj D1 D2)) as (W' & Sm).
      assert (Pt : prefix (firstn (w_depth w) (n_path n)) tokens).
      { assert (firstn (w_depth w) (n_path n) = firstn (w_depth w) tokens) as ->; [|apply prefix_firstn].
        apply prefix_is_firstn in Pd. rewrite firstn_length in Pd. replace (Nat.min (w_depth w) (length tokens)) with (w_depth w) in Pd by lia.
        congruence. }
      set (xb := if w_depth w mod P =? 0 then [] else firstn (w_depth w) (n_path n)). exists xb.
      split; [|split; [|split; [|split; [|split]]]]; auto.
      + destruct C as [V0 Nm Fi G]. constructor; auto.
        * cbn [nodes with_nodes leases]. apply (split_inv P P_positive); auto. unfold xb.
          destruct (Nat.eqb_spec (w_depth w mod P) 0); auto.
        * intros p. cbn [nodes with_nodes leases free]. rewrite (same_pages P _ _ Sm). auto.
      + right. left. reflexivity.
      + unfold xb. destruct (Nat.eqb_spec (w_depth w mod P) 0); auto. right. split; auto. split; auto.
        destruct (snoc_prefix (firstn (w_depth w) (n_path n)) (n_path n)) as (b & Pb); [apply prefix_firstn|unfold stop in *; lia|].
        exists b. apply (same_edges P _ _ Sm). exists n. split; auto. split; auto. rewrite app_length, Lf. cbn [length]. lia.
    - exists []. cbn [fst snd]. split; [exact C|]. split; [exact Aw|]. split; [exact Pw|]. split; [exact F6|].
      split; [apply same_map_refl|left; reflexivity].
Qed.

(* ---- publish *)
Theorem publish_inv id tokens st l : inv st -> find_in id (leases st) = Some l -> l_copy l = None ->
  may_publish P l tokens = true -> length (l_node l) < length tokens -> inv (fst (publish P id tokens st)).
Proof.
  intros V F Cp Mp Lt. unfold may_publish in Mp. rewrite andb_true_iff, is_prefix_spec, Nat.leb_le in Mp. destruct Mp as (Pl & Num).
  unfold publish. rewrite find_lease_in, F. pose proof (inv_focus P P_positive num_pages id l st V F) as C.
  pose proof (v_nodes P num_pages st V) as Vn. pose proof (i_wf _ _ _ _ _ Vn) as W.
  assert (Al : a_node (l_node l) (nodes st)) by (apply (i_held _ _ _ _ _ (c_nodes _ _ _ _ _ _ _ _ _ C)); left; reflexivity).
  assert (Fd : found P (l_node l) tokens (nodes st) (walk_from P (l_node l) tokens (nodes st)))
    by (apply (walk_finds P P_positive); auto; lia).
  set (w := walk_from P (l_node l) tokens (nodes st)) in *. destruct Fd as [F1 F2 F3 F4 F5 F6 F7 _ _ _].
  destruct F5 as (Aw & Pw & _ & Lw).
  destruct ((w_depth w =? length tokens) && negb (w_depth w mod P =? 0)) eqn:Early; cbn [fst]; [apply move_lease_same; exact C|].
  (* the node to hang the run below *)
  set (pair := match w_child w with
               | Some c => match find_node c (nodes st) with
                           | Some n => (firstn (w_depth w) c, with_nodes st (split P n (w_depth w) (nodes st)))
                           | None => (w_node w, st) end
               | None => (w_node w, st) end).
  assert (X : exists xb, focus id l (holds_of l) (own_pages l) xb [] (snd pair) /\ a_node (fst pair) (nodes (snd pair)) /\
    prefix (fst pair) tokens /\ length (fst pair) = w_depth w /\ same_map P (nodes st) (nodes (snd pair)) /\
    (xb = [] \/ (w_depth w mod P <> 0 /\ xb = fst pair /\ exists b, edge_of (nodes (snd pair)) (fst pair ++ [b])))).
  { apply (hang_point id l st tokens w); auto. }
  destruct pair as [s st1]. cbn [fst snd] in X. destruct X as (xb & C1 & A1 & Ps & Ls & Sm & Xb).
  destruct (free_private_ok id l (length (w_pages w)) xb st1 C1) as (C2 & N2).
  set (st2 := free_private_pages id (length (w_pages w)) st1) in *.
  set (l2 := mk_lease (l_node l) (l_copy l) (skipn (length (w_pages w)) (l_private l))) in *.
  rewrite <- N2 in A1. destruct (Nat.eqb_spec (w_depth w) (length tokens)) as [Q|Q].
  - (* everything was there already: the path ends at a page's end *)
    cbn [andb] in Early. apply negb_false_iff, Nat.eqb_eq in Early. destruct Xb as [->|(Xb & _)]; [|congruence].
    assert (s = tokens) by (apply prefix_same_length; auto; lia). subst s.
    apply (move_lease_ok id l2 tokens []); auto.
    + intros n Hn En. left. unfold stop. rewrite En. congruence.
    + cbn. intros E. rewrite <- E in Lt. lia.
  - rewrite find_lease_in, (c_find _ _ _ _ _ _ _ _ _ C2).
    assert (Nx : ~ edge_of (nodes st2) (firstn (S (length s)) tokens)).
    { rewrite N2, (same_edges P _ _ Sm), Ls. apply F4; lia. }
    assert (Num2 : ceiling_pages P (length tokens) - length s / P <= length (l_private l2)).
    { cbn [l_private l2]. rewrite skipn_length, F7, Ls. pose proof (div_le P P_positive _ _ F1). lia. }
    assert (Xb2 : xb = [] \/ (xb = s /\ exists b, edge_of (nodes st2) (s ++ [b]))).
    { destruct Xb as [->|(_ & -> & Xb)]; auto. right. split; auto. rewrite N2. exact Xb. }
    destruct (attach_run_ok id l2 s xb tokens st2 C2 A1 Ps ltac:(lia) Nx Xb2 Cp Num2) as (l3 & Cp3 & Nl3 & C3 & A3 & Sol3).
    destruct (same_path (l_node l3) tokens) eqn:Q3.
    + apply same_path_spec in Q3. rewrite <- Q3 at 1. apply move_lease_same. exact C3.
    + apply same_path_false in Q3. apply (move_lease_ok id l3 tokens tokens); auto.
Qed.

(* ---- extend, finish *)
Lemma may_publish_ext l l' tokens : l_node l' = l_node l -> l_private l' = l_private l -> may_publish P l' tokens = may_publish P l tokens.
Proof. intros E1 E2. unfold may_publish. rewrite E1, E2. reflexivity. Qed.
Theorem extend_inv id computed st : inv st -> inv (fst (extend P id computed st)).
Proof.
  intros V. unfold extend. rewrite find_lease_in. destruct (find_in id (leases st)) as [l|] eqn:F; auto.
  set (tokens := firstn (floor P (length computed)) computed).
  destruct ((length (l_node l) <? length tokens) && may_publish P l tokens) eqn:M; auto.
  apply andb_true_iff in M. destruct M as (M1 & M2). apply Nat.ltb_lt in M1.
  destruct (drop_copy_find P id st l F) as (l' & F' & E1 & E2 & E3).
  apply (publish_inv id tokens _ l'); auto.
  - apply drop_copy_source_inv; auto.
  - rewrite (may_publish_ext l); auto.
  - rewrite E1. auto.
Qed.
Theorem finish_inv id computed st : inv st -> inv (finish P id computed st).
Proof.
  intros V. unfold finish. pose proof (extend_inv id computed st V) as V1. set (st1 := fst (extend P id computed st)) in *.
  rewrite find_lease_in. destruct (find_in id (leases st1)) as [l|] eqn:F; auto.
  apply release_inv; auto.
  destruct ((length (l_node l) <? length computed) && negb (match l_private l with [] => true | _ => false end) && may_publish P l computed) eqn:M; auto.
  rewrite !andb_true_iff, Nat.ltb_lt in M. destruct M as ((M1 & _) & M2).
  destruct (drop_copy_find P id st1 l F) as (l' & F' & E1 & E2 & E3).
  apply (publish_inv id computed _ l'); auto.
  - apply drop_copy_source_inv; auto.
  - rewrite (may_publish_ext l); auto.
  - rewrite E1. auto.
Qed.

(* ---- every sequence of operations *)
Theorem initial_inv : inv (initial num_pages).
Proof.
  constructor.
  - constructor; cbn; [|intros n []|intros n []|intros n []|intros n []|intros n []|intros n []].
    constructor; cbn; [intros n []|intros m n q []|intros n []|constructor].
  - cbn. constructor.
  - intros p. cbn. rewrite create_has_each_page_once. unfold pages_count. cbn. lia.
Qed.
Theorem step_inv op st : inv st -> inv (step P st op).
Proof.
  intros V. destruct op; cbn [step].
  - destruct (fresh id st) eqn:E; auto. apply match_inv; auto.
  - destruct (fresh id st) eqn:E; auto. apply fork_inv; auto.
  - apply allocate_pages_inv; auto.
  - apply extend_inv; auto.
  - apply finish_inv; auto.
  - apply drop_copy_source_inv; auto.
  - apply release_inv; auto.
  - apply evict_inv; auto.
  - apply pin_inv; auto.
  - apply unpin_inv; auto.
Qed.
Theorem reachable_inv ops : inv (fold_left (step P) ops (initial num_pages)).
Proof.
  assert (H : forall st, inv st -> inv (fold_left (step P) ops st)).
  { induction ops as [|op ops IH]; intros st V; cbn; auto. apply IH, step_inv, V. }
  apply H, initial_inv.
Qed.
End Extend.
